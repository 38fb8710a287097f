#include "cluster.h"

#include "base/assert.h"
#include "base/span.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINES_MAX 64
#define LINE_SIZE 4096

/* In the child, between fork and exec. */
static _Noreturn void
become(char *const *argv, int out, pid_t parent)
{
    enum {
        NOT_STARTED = 127
    };

    sigset_t none;
    (void)sigemptyset(&none);
    /* getppid: the parent may have ended before the wish was known. A group of its own: Ctrl-C of a
     * terminal reaches the parent, which ends the others in order. */
    if (dup2(out, STDOUT_FILENO) >= 0 && setpgid(0, 0) == 0 &&
        prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent &&
        sigprocmask(SIG_SETMASK, &none, NULL) == 0) {
        (void)execv("/proc/self/exe", argv);
    }
    _exit(NOT_STARTED);
}

err_t
cluster_process_start(struct cluster_process *process, char *const *argv)
{
    int ends[2];
    ASSERT(process->pid == 0);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return ERR_IO;
    }
    pid_t parent = getpid();
    (void)fflush(stdout); /* or the child would print it again */
    pid_t pid = fork();
    if (pid == 0) {
        become(argv, ends[1], parent);
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

static void
take_after(struct span line, struct span prefix, char out[CLUSTER_URL_SIZE])
{
    struct span rest = span_slice(line, prefix.size, line.size);
    if (span_starts_with(line, prefix) && rest.size < CLUSTER_URL_SIZE) {
        memset(out, 0, CLUSTER_URL_SIZE);
        memcpy(out, rest.data, rest.size);
    }
}

/* The last line that a process prints at its start is that of its internal address. */
bool
cluster_process_read(struct cluster_process *process, bool show)
{
    char text[LINE_SIZE];
    for (int i = 0; i < LINES_MAX && process->internal[0] == '\0'; i++) {
        if (fgets(text, sizeof(text), process->out) == NULL) {
            return false;
        }
        struct span line = span_of(text, strcspn(text, "\n"));
        take_after(line, SPAN("internal: http://"), process->internal);
        take_after(line, SPAN("operators: http://"), process->operators);
        take_after(line, SPAN("listening on "), process->listening);
        if (show && process->internal[0] == '\0') {
            (void)fputs(text, stdout);
        }
    }
    return process->internal[0] != '\0';
}

bool
cluster_process_stop(struct cluster_process *process, unsigned seconds)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    int status = 0;
    pid_t ended = 0;
    if (process->pid == 0) {
        return true;
    }
    (void)kill(process->pid, SIGTERM);
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
    process->pid = 0;
    return ended > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
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
