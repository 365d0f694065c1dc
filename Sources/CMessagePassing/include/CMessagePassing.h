/// MPI, loaded when the program runs: nothing of it is needed to build, and what was started without mpirun never loads it.
///
/// Open MPI and MPICH (and what keeps to MPICH's binary interface, such as Intel MPI and MVAPICH) name their handles differently: pointers to
/// objects of the library, and numbers. Here both are words of a pointer's size, which either library takes in the same registers.
#ifndef C_MESSAGE_PASSING_H
#define C_MESSAGE_PASSING_H

#include <stddef.h>
#include <stdint.h>

/// A message that was found waiting.
typedef struct {
    int source;
    int tag;
    int bytes;
} SAMessage;

/// A send or receive under way. It must stay where it is until it is done.
typedef struct {
    uintptr_t request;
} SATransfer;

/// Loads the library and starts MPI for calls from any one thread at a time.
///
/// `library` is a path or name for dlopen. On failure `error` gets a sentence, cut to `capacity` bytes with its end, and the result is not 0.
int sa_mpi_start(const char *library, char *error, size_t capacity);

/// Ranks there are, and this one's; after sa_mpi_start.
int sa_mpi_rank(void);
int sa_mpi_count(void);

/// Begins to send `bytes` bytes, at most 2^31 - 1. The memory must stay until the transfer is done. 0 when all went well, as below.
int sa_mpi_send(const void *data, int bytes, int rank, int tag, SATransfer *transfer);

/// Looks for a message from `source` with `tag`, -1 for any of either; `found` gets 1 or 0.
int sa_mpi_probe(int source, int tag, int *found, SAMessage *message);

/// Begins to receive a message that was found.
int sa_mpi_receive(void *data, SAMessage message, SATransfer *transfer);

/// `done` gets 1 once the transfer is.
int sa_mpi_test(SATransfer *transfer, int *done);

/// Ends MPI; waits for all ranks to do so.
int sa_mpi_finish(void);

/// Ends all ranks at once.
void sa_mpi_abort(int code);

#endif
