/// Upper limits of a model's extents. They are far above any real model and keep every product of extents inside 64 bits.
package enum ModelLimit {
    package static let width = 1 << 17
    package static let layers = 1 << 10
    package static let heads = 1 << 10
    package static let headDimension = 1 << 10
    package static let intermediate = 1 << 20
    package static let experts = 1 << 12
    package static let vocabulary = 1 << 22
    package static let positions = 1 << 27
}
