import CGSL

/// GSL's default error handler aborts the process.
enum GSLErrors {
    /// Reading it switches the handler off, once for the process; results are checked instead.
    static let areReturned: Void = { gsl_set_error_handler_off() }()
}
