#include "CMessagePassing.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum { THREAD_SERIALIZED = 2 };

/// Room for either library's MPI_Status: 24 bytes in Open MPI, 20 in MPICH.
typedef struct {
    int words[16];
} Status;

static struct {
    int is_open_mpi;
    uintptr_t world, byte;
    int any_source, any_tag;
    int (*initThread)(int *, char ***, int, int *);
    int (*finalize)(void);
    int (*commRank)(uintptr_t, int *);
    int (*commSize)(uintptr_t, int *);
    int (*isend)(const void *, int, uintptr_t, int, int, uintptr_t, uintptr_t *);
    int (*irecv)(void *, int, uintptr_t, int, int, uintptr_t, uintptr_t *);
    int (*iprobe)(int, int, uintptr_t, int *, Status *);
    int (*getCount)(const Status *, uintptr_t, int *);
    int (*test)(uintptr_t *, int *, Status *);
    int (*abort)(uintptr_t, int);
} mpi;

int sa_mpi_start(const char *library, char *error, size_t capacity) {
    // Open MPI's own plugins look for its symbols among those of the program.
    void *handle = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
    if (!handle) {
        snprintf(error, capacity, "%s", dlerror());
        return 1;
    }
    const struct {
        const char *name;
        void **place;
    } functions[] = {
        {"MPI_Init_thread", (void **)&mpi.initThread}, {"MPI_Finalize", (void **)&mpi.finalize},
        {"MPI_Comm_rank", (void **)&mpi.commRank},     {"MPI_Comm_size", (void **)&mpi.commSize},
        {"MPI_Isend", (void **)&mpi.isend},            {"MPI_Irecv", (void **)&mpi.irecv},
        {"MPI_Iprobe", (void **)&mpi.iprobe},          {"MPI_Get_count", (void **)&mpi.getCount},
        {"MPI_Test", (void **)&mpi.test},              {"MPI_Abort", (void **)&mpi.abort},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (!(*functions[i].place = dlsym(handle, functions[i].name))) {
            snprintf(error, capacity, "%s has no %s: it is no MPI library", library, functions[i].name);
            return 1;
        }
    }
    mpi.world = (uintptr_t)dlsym(handle, "ompi_mpi_comm_world");
    mpi.is_open_mpi = mpi.world != 0;
    if (mpi.is_open_mpi) {
        mpi.byte = (uintptr_t)dlsym(handle, "ompi_mpi_byte");
        mpi.any_source = -1;
        mpi.any_tag = -1;
    } else {
        mpi.world = 0x44000000;
        mpi.byte = 0x4c00010d;
        mpi.any_source = -2;
        mpi.any_tag = -1;
    }
    int provided = 0;
    if (mpi.initThread(NULL, NULL, THREAD_SERIALIZED, &provided) != 0) {
        snprintf(error, capacity, "%s: MPI_Init_thread failed", library);
        return 1;
    }
    if (provided < THREAD_SERIALIZED) {
        snprintf(error, capacity, "%s serves the main thread only", library);
        return 1;
    }
    return 0;
}

int sa_mpi_rank(void) {
    int rank = -1;
    return mpi.commRank(mpi.world, &rank) == 0 ? rank : -1;
}

int sa_mpi_count(void) {
    int count = -1;
    return mpi.commSize(mpi.world, &count) == 0 ? count : -1;
}

int sa_mpi_send(const void *data, int bytes, int rank, int tag, SATransfer *transfer) {
    transfer->request = 0;
    return mpi.isend(data, bytes, mpi.byte, rank, tag, mpi.world, &transfer->request);
}

int sa_mpi_probe(int source, int tag, int *found, SAMessage *message) {
    Status status = {{0}};
    int error = mpi.iprobe(source < 0 ? mpi.any_source : source, tag < 0 ? mpi.any_tag : tag, mpi.world, found, &status);
    if (error != 0 || !*found) return error;
    message->source = status.words[mpi.is_open_mpi ? 0 : 2];
    message->tag = status.words[mpi.is_open_mpi ? 1 : 3];
    return mpi.getCount(&status, mpi.byte, &message->bytes);
}

int sa_mpi_receive(void *data, SAMessage message, SATransfer *transfer) {
    transfer->request = 0;
    return mpi.irecv(data, message.bytes, mpi.byte, message.source, message.tag, mpi.world, &transfer->request);
}

int sa_mpi_test(SATransfer *transfer, int *done) {
    Status status;
    return mpi.test(&transfer->request, done, &status);
}

int sa_mpi_finish(void) { return mpi.finalize(); }

void sa_mpi_abort(int code) { mpi.abort(mpi.world, code); }
