import AttentionCore
import AttentionKernels
import ModelFormats
import Parallelism
import Synchronization

/// A vector of weights in FP32.
final class WeightVector: Sendable {
    let count: Int
    private let storage: AlignedBuffer<Float>

    fileprivate init(_ values: consuming AlignedBuffer<Float>) {
        count = values.count
        storage = values
    }

    var base: UnsafePointer<Float> { UnsafePointer(storage.base) }
}

/// Reads a decoder's weights from an archive and packs the matrices for the kernel, block by block on its threads, so that at no time
/// more than one matrix's share of the files stands in memory beside what is packed.
final class WeightLoader {
    private let archive: any TensorArchive
    private let names: TensorNames
    let kernel: AttentionKernel
    /// The rows that columns were last taken from: an expert's gate and up stand in the same ones.
    private var lastRows: StoredRows?

    private final class StoredRows: @unchecked Sendable {  // Written by the pool, then only read.
        let name: String
        let rows: Range<Int>
        let numbers: AlignedBuffer<Float>

        init(_ name: String, _ rows: Range<Int>, width: Int) throws(InputError) {
            self.name = name
            self.rows = rows
            numbers = try AlignedBuffer(extents: rows.count, width, of: "weights of \(rows.count) inputs")
        }
    }

    init(archive: any TensorArchive, names: TensorNames, kernel: AttentionKernel) {
        self.archive = archive
        self.names = names
        self.kernel = kernel
    }

    /// - Throws: `InputError` when a tensor is missing or has another shape, before anything is read.
    func check(_ slices: [TensorSlice]) throws(InputError) {
        for slice in slices { try archive.check(names.own(slice.name), shape: slice.shape) }
    }

    /// - Throws: `InputError` when the tensor holds a value that is not finite, or the system does not give the memory.
    func matrix(_ slice: TensorSlice, outputs: Int, inputs: Int) throws(InputError) -> PackedMatrix {
        let name = names.own(slice.name)
        defer { archive.release(name) }
        switch slice.selection {
        case .all:
            return try PackedMatrix(outputs: outputs, inputs: inputs, kernel: kernel) { [archive] outputs, room throws(InputError) in
                try archive.read(name, rows: outputs, into: room)
            }
        case .rows(let rows):
            return try PackedMatrix(outputs: outputs, inputs: inputs, kernel: kernel) { [archive] outputs, room throws(InputError) in
                var target = room
                for run in Array(rows[outputs]).runs {
                    try archive.read(name, rows: run, into: target)
                    target += run.count * inputs
                }
            }
        case .columns(let rows, let first, let step):
            // Inputs stand along the rows: all of them are needed for one block of outputs.
            let width = slice.shape.last!
            let stored = try storedRows(rows, of: name, width: width)
            let source = SharedPointer(stored.numbers.base)
            return try PackedMatrix(outputs: outputs, inputs: inputs, kernel: kernel) { outputs, room throws(InputError) in
                for (place, output) in outputs.enumerated() {
                    for input in 0..<inputs { room[place * inputs + input] = source.base[input * width + first + output * step] }
                }
            }
        }
    }

    /// - Throws: as `matrix`.
    private func storedRows(_ rows: Range<Int>, of name: String, width: Int) throws(InputError) -> StoredRows {
        if let lastRows, lastRows.name == name, lastRows.rows == rows { return lastRows }
        lastRows = nil
        let stored = try StoredRows(name, rows, width: width)
        let (target, archive) = (SharedPointer(stored.numbers.base), archive)
        let failure = Mutex<InputError?>(nil)
        kernel.pool.run(rows.count) { _, index in
            do throws(InputError) {
                let row = rows.lowerBound + index
                try archive.read(name, rows: row..<row + 1, into: target.base + index * width)
            } catch {
                failure.withLock { $0 = $0 ?? error }
            }
        }
        if let error = failure.withLock({ $0 }) { throw error }
        lastRows = stored
        return stored
    }

    /// - Parameter offset: added to each element.
    /// - Throws: as `matrix`.
    func vector(_ slice: TensorSlice, offset: Float = 0) throws(InputError) -> WeightVector {
        let name = names.own(slice.name)
        let width = slice.shape.last!
        let values: AlignedBuffer<Float>
        switch slice.selection {
        case .all:
            values = AlignedBuffer(count: width)
            try archive.read(name, rows: 0..<1, into: values.base)
        case .rows(let places):
            let whole = AlignedBuffer<Float>(count: width)
            try archive.read(name, rows: 0..<1, into: whole.base)
            values = AlignedBuffer(count: places.count)
            for (index, place) in places.enumerated() { values[index] = whole[place] }
        case .columns(let rows, let first, let step):
            let whole = AlignedBuffer<Float>(count: width)
            try archive.read(name, rows: rows, into: whole.base)
            values = AlignedBuffer(count: (width - first + step - 1) / step)
            for index in 0..<values.count { values[index] = whole[first + index * step] }
        }
        if offset != 0 { for index in 0..<values.count { values[index] += offset } }
        return WeightVector(values)
    }
}
