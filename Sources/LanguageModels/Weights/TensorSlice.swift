/// The part of a stored tensor that fills a matrix [outputs][inputs] or a vector [outputs] of a decoder.
struct TensorSlice: Sendable {
    enum Selection: Sendable {
        /// The tensor is the matrix or the vector.
        case all
        /// Output o is row (of a vector: element) `rows[o]` of the tensor.
        case rows([Int])
        /// Output o is column first + o · step of some rows, which are the inputs; of one row, a vector.
        case columns(ofRows: Range<Int>, first: Int, step: Int)
    }

    let name: String
    /// The stored tensor's.
    let shape: [Int]
    let selection: Selection

    init(_ name: String, _ shape: [Int], _ selection: Selection = .all) {
        self.name = name
        self.shape = shape
        self.selection = selection
    }

    /// The same with its outputs in another order.
    func reordered(_ order: [Int]) -> TensorSlice {
        switch selection {
        case .all: TensorSlice(name, shape, .rows(order))
        case .rows(let rows): TensorSlice(name, shape, .rows(order.map { rows[$0] }))
        case .columns: preconditionFailure("no family reorders columns")
        }
    }
}

/// A projection y = W x + b.
struct ProjectionTensors: Sendable {
    var weight: TensorSlice
    var bias: TensorSlice?

    init(weight: TensorSlice, bias: TensorSlice?) {
        self.weight = weight
        self.bias = bias
    }

    /// `name.weight` [outputs][inputs] and `name.bias` [outputs].
    init(_ name: String, outputs: Int, inputs: Int, hasBias: Bool = false) {
        self.init(
            weight: TensorSlice(name + ".weight", [outputs, inputs]), bias: hasBias ? TensorSlice(name + ".bias", [outputs]) : nil)
    }

    /// Several projections of the same inputs stored as one.
    ///
    /// - Parameter rows: of the whole, which ones make each projection.
    static func fused(_ name: String, rows: [[Int]], inputs: Int, hasBias: Bool) -> [ProjectionTensors] {
        let outputs = rows.reduce(0) { $0 + $1.count }
        return rows.map { rows in
            ProjectionTensors(
                weight: TensorSlice(name + ".weight", [outputs, inputs], .rows(rows)),
                bias: hasBias ? TensorSlice(name + ".bias", [outputs], .rows(rows)) : nil)
        }
    }

    /// Several projections of the same inputs, one after the other in one tensor.
    static func fused(_ name: String, outputs: [Int], inputs: Int, hasBias: Bool = false) -> [ProjectionTensors] {
        var end = 0
        let rows = outputs.map { count in
            end += count
            return Array(end - count..<end)
        }
        return fused(name, rows: rows, inputs: inputs, hasBias: hasBias)
    }

    /// The same with its outputs in another order.
    func reordered(_ order: [Int]) -> ProjectionTensors {
        ProjectionTensors(weight: weight.reordered(order), bias: bias?.reordered(order))
    }

    var slices: [TensorSlice] { [weight] + (bias.map { [$0] } ?? []) }
}
