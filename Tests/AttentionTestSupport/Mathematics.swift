#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

public func exponential(_ x: Double) -> Double { exp(x) }
public func hyperbolicTangent(_ x: Double) -> Double { tanh(x) }
public func logarithm(_ x: Double) -> Double { log(x) }
