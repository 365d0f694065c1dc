import Glibc

/// The sequential colours of heat maps: dark blue for the least, through green, to light yellow for the most.
///
/// A curve through OKLab with linear lightness and nearly constant speed, so that equal differences look equal and the
/// order survives every kind of colour blindness and a black-and-white print.
///
/// Reference: B. Ottosson, "A perceptual color space for image processing", 2020.
package enum ColourScale {
    /// An sRGB colour and the text colour that reads best on it.
    package struct Colour: Hashable, Sendable {
        package let hex: String
        /// WCAG relative luminance, 0…1.
        package let luminance: Double

        /// Near-black or white, whichever contrasts more.
        package var textHex: String { luminance > 0.18 ? "#10131a" : "#ffffff" }
    }

    /// The colour at `share` of the range, which is cut to 0…1.
    package static func colour(at share: Double) -> Colour {
        let t = min(1, max(0, share))
        let lightness = 0.27 + 0.64 * t
        let greenRed = 0.01 - 0.02 * t - 0.095 * sin(.pi * t)
        let blueYellow = -0.105 + 0.255 * t
        return colour(lightness, greenRed, blueYellow)
    }

    /// A colour for lines and points: as light as `lightness` (OKLab, 0…1) says, from blue at 0 through green to red at 1.
    ///
    /// One lightness means one contrast with the page, whatever the hue.
    package static func hue(at share: Double, lightness: Double) -> Colour {
        let angle = (265 - 240 * min(1, max(0, share))) / 180 * .pi
        return colour(lightness, 0.125 * cos(angle), 0.125 * sin(angle))
    }

    /// OKLab to sRGB. What lies outside the gamut, by little, is cut.
    private static func colour(_ lightness: Double, _ a: Double, _ b: Double) -> Colour {
        let long = cube(lightness + 0.3963377774 * a + 0.2158037573 * b)
        let medium = cube(lightness - 0.1055613458 * a - 0.0638541728 * b)
        let short = cube(lightness - 0.0894841775 * a - 1.2914855480 * b)
        let linear = [
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        ].map { min(1, max(0, $0)) }
        let hex = linear.map { channel in
            let digits = String(Int((255 * gammaEncoded(channel)).rounded()), radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }
        let luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        return Colour(hex: "#" + hex.joined(), luminance: luminance)
    }

    private static func cube(_ value: Double) -> Double { value * value * value }

    private static func gammaEncoded(_ linear: Double) -> Double {
        linear <= 0.0031308 ? 12.92 * linear : 1.055 * pow(linear, 1 / 2.4) - 0.055
    }
}
