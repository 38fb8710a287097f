#include "cluster.h"

#include "base/assert.h"
#include "base/span.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINES_MAX 64
#define LINE_SIZE 4096

/* In the child: another user, who has no group besides. */
static bool
turn_into(const struct cluster_spawn *spawn)
{
    if (spawn->folder != NULL && chdir(spawn->folder) != 0) {
        return false;
    }
    return !spawn->as_user ||
           (setgroups(0, NULL) == 0 && setgid(spawn->group) == 0 && setuid(spawn->user) == 0);
}

/* In the child, between fork and exec. */
static _Noreturn void
become(const struct cluster_spawn *spawn, int out, pid_t parent, int death_signal)
{
    enum {
        NOT_STARTED = 127
    };

    sigset_t none;
    (void)sigemptyset(&none);
    /* A wish for a signal does not survive another user. getppid: the parent may have ended before
     * the wish was known. A group of its own: Ctrl-C of a terminal reaches the parent, which ends
     * the others in order. */
    if (dup2(out, STDOUT_FILENO) >= 0 && setpgid(0, 0) == 0 && turn_into(spawn) &&
        prctl(PR_SET_PDEATHSIG, death_signal) == 0 && getppid() == parent &&
        sigprocmask(SIG_SETMASK, &none, NULL) == 0) {
        (void)execv(spawn->program == NULL ? "/proc/self/exe" : spawn->program, spawn->argv);
    }
    _exit(NOT_STARTED);
}

static int
stop_signal_of(const struct cluster_process *process)
{
    return process->stop_signal == 0 ? SIGTERM : process->stop_signal;
}

err_t
cluster_process_start(struct cluster_process *process, const struct cluster_spawn *spawn)
{
    int ends[2];
    ASSERT(process->pid == 0);
    ASSERT(process->out == NULL);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return ERR_IO;
    }
    pid_t parent = getpid();
    (void)fflush(stdout); /* or the child would print it again */
    pid_t pid = fork();
    if (pid == 0) {
        become(spawn, ends[1], parent, stop_signal_of(process));
    }
    (void)close(ends[1]);
    FILE *out = pid < 0 ? NULL : fdopen(ends[0], "r");
    process->pid = pid < 0 ? 0 : pid;
    process->out = out;
    if (out == NULL) {
        (void)close(ends[0]);
        return ERR_IO;
    }
    return ERR_OK;
}

static bool
take_after(struct span line, struct span prefix, char out[CLUSTER_URL_SIZE])
{
    struct span rest = span_slice(line, prefix.size, line.size);
    if (!span_starts_with(line, prefix) || rest.size >= CLUSTER_URL_SIZE) {
        return false;
    }
    memset(out, 0, CLUSTER_URL_SIZE);
    memcpy(out, rest.data, rest.size);
    return true;
}

bool
cluster_process_read(
    struct cluster_process *process, const char *last, bool show, bool show_addresses)
{
    char text[LINE_SIZE];
    for (int i = 0; i < LINES_MAX; i++) {
        if (fgets(text, sizeof(text), process->out) == NULL) {
            return false;
        }
        struct span line = span_of(text, strcspn(text, "\n"));
        bool internal = take_after(line, SPAN("internal: http://"), process->internal);
        bool address = take_after(line, SPAN("operators: http://"), process->operators);
        address = take_after(line, SPAN("listening on "), process->listening) || address;
        if (show && !internal && (show_addresses || !address)) {
            (void)fputs(text, stdout);
        }
        if (span_starts_with(line, span_from_cstr(last))) {
            return true;
        }
    }
    return false;
}

static bool
ended_well(pid_t ended, int status)
{
    return ended > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void
forget(struct cluster_process *process)
{
    process->pid = 0;
    if (process->out != NULL) {
        (void)fclose(process->out);
        process->out = NULL;
    }
}

bool
cluster_process_wait(struct cluster_process *process)
{
    int status = 0;
    pid_t ended;
    ASSERT(process->pid != 0);
    do {
        ended = waitpid(process->pid, &status, 0);
    } while (ended < 0 && errno == EINTR);
    forget(process);
    return ended_well(ended, status);
}

bool
cluster_process_stop(struct cluster_process *process, unsigned seconds)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    int status = 0;
    pid_t ended = 0;
    if (process->pid == 0) {
        forget(process);
        return true;
    }
    (void)kill(process->pid, stop_signal_of(process));
    for (uint64_t i = 0; i < (uint64_t)seconds * 100 && ended == 0; i++) {
        ended = waitpid(process->pid, &status, WNOHANG);
        if (ended == 0) {
            (void)nanosleep(&pause, NULL);
        }
    }
    if (ended == 0) {
        (void)fprintf(stderr, "tael local-cluster: %s does not end; killed\n", process->name);
        (void)kill(process->pid, SIGKILL);
        ended = waitpid(process->pid, &status, 0);
    }
    forget(process);
    return ended_well(ended, status);
}

void
cluster_end_describe(int status, char out[CLUSTER_END_SIZE])
{
    if (WIFSIGNALED(status)) {
        (void)snprintf(out, CLUSTER_END_SIZE, "signal %d", WTERMSIG(status));
    } else {
        (void)snprintf(out, CLUSTER_END_SIZE, "exit status %d", WEXITSTATUS(status));
    }
}
