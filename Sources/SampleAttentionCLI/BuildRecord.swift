enum BuildRecord { static let commit = "unknown" }
