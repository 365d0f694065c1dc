/* SwiftPM asks a C target for a source file; everything else stands in the header. */
#include "sample_attention.h"
