import Foundation

func base2Logarithm(_ x: Float) -> Float { log2(x) }
