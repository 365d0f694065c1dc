import Foundation

func base2Logarithm(_ x: Float) -> Float { log2(x) }

func exponential(_ x: Float) -> Float { exp(x) }
