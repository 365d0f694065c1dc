/// The masses that share the upper bits of a float, summed by the next digit of their bit patterns.
///
/// A float is m · 2^(e − 150) with an integer m below 2²⁴, so the masses of one exponent add up exactly as integers; this also
/// keeps denormals, slow in floating-point arithmetic, at the speed of the others. O(1) memory: 2,048 sums.
struct MassHistogram {
    /// A group of bits of a positive float, from the top.
    enum Digit: CaseIterable {
        /// The exponent and three bits of the fraction: eight buckets an octave.
        case exponent
        case middle
        case lowest

        var shift: UInt32 {
            switch self {
            case .exponent: 20
            case .middle: 10
            case .lowest: 0
            }
        }
        var buckets: Int { self == .exponent ? 2048 : 1024 }
        /// The bits that stand above the digit.
        var prefixMask: UInt32 { self == .exponent ? 0 : ~0 << (shift + 10) }
    }

    private let digit: Digit
    private let prefix: UInt32
    /// Σ m by bucket; 0 only where nothing is.
    private var sums: [Int]

    /// Sums those of `masses` whose bits above the digit are those of `prefix`.
    init(digit: Digit, prefix: UInt32, of masses: ArraySlice<Float>) {
        self.digit = digit
        self.prefix = prefix
        sums = Array(repeating: 0, count: digit.buckets)
        let mask = digit.prefixMask
        let shift = digit.shift
        let last = UInt32(digit.buckets - 1)
        sums.withUnsafeMutableBufferPointer { sums in
            masses.withUnsafeBufferPointer { masses in
                for mass in masses {
                    let key = Self.key(mass)
                    guard key & mask == prefix else { continue }
                    sums[Int((key >> shift) & last)] &+= Int(Self.significand(key))
                }
            }
        }
    }

    /// The sum of all buckets.
    var total: Double {
        var sum = 0.0
        for bucket in stride(from: sums.count - 1, through: 0, by: -1) where sums[bucket] > 0 { sum += mass(bucket) }
        return sum
    }

    /// The first bucket, from the heaviest masses down, with which `kept` reaches the target, and the lightest that holds
    /// anything when none does; nil when all are empty. The buckets above it are added to `kept`.
    func bucket(reaching target: Double, from kept: inout Double) -> Int? {
        var lightest: Int?
        var above = kept
        for bucket in stride(from: sums.count - 1, through: 0, by: -1) where sums[bucket] > 0 {
            lightest = bucket
            kept = above
            above += mass(bucket)
            if above >= target { break }
        }
        return lightest
    }

    /// Σ m of the bucket that `bits` fall into.
    func significands(_ bits: UInt32) -> Int { sums[Int(bits >> digit.shift) & (sums.count - 1)] }

    /// How many positive masses fall into each bucket, of those whose bits above the digit are those of `prefix`. O(masses).
    static func counts(digit: Digit, prefix: UInt32, of masses: ArraySlice<Float>) -> [Int] {
        var counts = Array(repeating: 0, count: digit.buckets)
        let last = UInt32(digit.buckets - 1)
        for mass in masses {
            let key = Self.key(mass)
            guard key > 0, key & digit.prefixMask == prefix else { continue }
            counts[Int((key >> digit.shift) & last)] &+= 1
        }
        return counts
    }

    private func mass(_ bucket: Int) -> Double {
        Double(sums[bucket]) * Self.unit(prefix | UInt32(bucket) << digit.shift)
    }

    /// The bits of a mass, whose order is that of the masses; 0 for what is not positive.
    @inline(__always) static func key(_ mass: Float) -> UInt32 { UInt32(max(0, Int32(bitPattern: mass.bitPattern))) }

    /// m of m · 2^(e − 150).
    @inline(__always) static func significand(_ bits: UInt32) -> UInt32 {
        (bits & 0x7F_FFFF) | (min(bits >> 23, 1) << 23)
    }

    /// The mass that `bits` stand for.
    static func value(_ bits: UInt32) -> Double { Double(significand(bits)) * unit(bits) }

    /// 2^(e − 150); denormals count as exponent 1.
    private static func unit(_ bits: UInt32) -> Double {
        Double(sign: .plus, exponent: Int(max(1, bits >> 23)) - 150, significand: 1)
    }
}
