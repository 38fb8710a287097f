/*
 * What concerns the whole process: limits, signals, what it used, and the machine it runs on.
 */
#ifndef OS_PROCESS_H
#define OS_PROCESS_H

#include "os/loop.h"

/* ---- At the start of main, before any thread ---- */

/* A write to a closed socket answers an error instead of ending the process. */
void os_process_ignore_pipe_signal(void);
/* SIGHUP, with which daemons are told to read their files again, does not end the process. With a
 * terminal it does, when that is closed. */
void os_process_ignore_hangup(void);
/* No core file and no ptrace by others, so that secrets stay in memory. A debugger of the same
 * user can then not attach either, nor can LeakSanitizer work. */
MUST_USE err_t os_process_disable_dumps(void);
/* Raises the soft limit of open files to `wanted`, or as far as the hard limit goes. Returns what
 * is allowed now. */
uint64_t os_process_raise_file_limit(uint64_t wanted);

/* ---- Signals ---- */

struct os_signals; /* SIGTERM and SIGINT of this process; one at a time */

/* Before any other thread is created, because the signals are blocked in the calling thread and
 * those that it creates. The first SIGTERM or SIGINT posts `task` to `executor`, once; the second
 * one ends the process at once with exit code 128 + its number. */
MUST_USE err_t os_signals_create(
    struct os_executor *executor, struct os_task *task, struct os_signals **ret_signals);
/* Signals have their default meaning again. NULL inside is fine; sets NULL. */
void os_signals_destroy(struct os_signals **signals);

/* ---- For benchmarks and metrics ---- */

struct os_usage {
    uint64_t cpu_user_ns;
    uint64_t cpu_system_ns;
    uint64_t rss_bytes;      /* now; 0 if not known */
    uint64_t rss_peak_bytes; /* so far */
    uint64_t virtual_bytes;  /* now; 0 if not known, as are the following */
    uint64_t threads;
    uint64_t open_files;
    uint64_t open_files_max;
    uint64_t started_unix_s;
};

/* Of this process, all threads. */
struct os_usage os_process_usage(void);

struct os_machine {
    char cpu_model[128]; /* "unknown" if not known, as below */
    char kernel[128];    /* name, release, machine */
    uint32_t core_count; /* that this process may use */
    uint64_t memory_bytes;
};

void os_machine_describe(struct os_machine *ret_machine);

#endif
