#include "os/process.h"

#include "base/assert.h"
#include "base/span.h"
#include "os/clock.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

void
os_process_ignore_pipe_signal(void)
{
    struct sigaction action = {.sa_handler = SIG_IGN};
    int result = sigaction(SIGPIPE, &action, NULL);
    ASSERT(result == 0);
}

err_t
os_process_disable_dumps(void)
{
    struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return err_from_errno(errno);
    }
    return ERR_OK;
}

uint64_t
os_process_raise_file_limit(uint64_t wanted)
{
    struct rlimit limit;
    int result = getrlimit(RLIMIT_NOFILE, &limit);
    ASSERT(result == 0);
    if (limit.rlim_cur < wanted && limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = limit;
        raised.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
            limit = raised;
        }
    }
    return limit.rlim_cur;
}

static uint64_t
ns_of(struct timeval time)
{
    return (uint64_t)time.tv_sec * OS_NS_PER_S + (uint64_t)time.tv_usec * OS_NS_PER_US;
}

/* The second number of /proc/self/statm, in pages. */
static uint64_t
read_rss_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    char line[256];
    bool got = fgets(line, sizeof(line), file) != NULL;
    (void)fclose(file);
    struct span rest = span_from_cstr(got ? line : "");
    uint64_t pages = 0;
    (void)span_cut(&rest, ' ');
    if (!span_parse_u64(span_cut(&rest, ' '), &pages)) {
        return 0;
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

struct os_usage
os_process_usage(void)
{
    struct rusage usage;
    int result = getrusage(RUSAGE_SELF, &usage);
    ASSERT(result == 0);
    return (struct os_usage){
        .cpu_user_ns = ns_of(usage.ru_utime),
        .cpu_system_ns = ns_of(usage.ru_stime),
        .rss_bytes = read_rss_bytes(),
        .rss_peak_bytes = (uint64_t)usage.ru_maxrss * 1024,
    };
}

/* The value of the first "model name" line of /proc/cpuinfo. */
static void
read_cpu_model(char *out, size_t size)
{
    (void)snprintf(out, size, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (file == NULL) {
        return;
    }
    char line[512];
    while (fgets(line, sizeof(line), file) != NULL) {
        const char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || value == NULL) {
            continue;
        }
        value += 1 + strspn(value + 1, " \t");
        size_t length = strcspn(value, "\n");
        length = length < size ? length : size - 1;
        memcpy(out, value, length);
        out[length] = '\0';
        break;
    }
    (void)fclose(file);
}

static uint32_t
count_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0) {
        return (uint32_t)CPU_COUNT(&set);
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint32_t)online : 1;
}

void
os_machine_describe(struct os_machine *ret_machine)
{
    *ret_machine = (struct os_machine){.core_count = count_cores()};
    read_cpu_model(ret_machine->cpu_model, sizeof(ret_machine->cpu_model));
    struct utsname name;
    int result = uname(&name);
    ASSERT(result == 0);
    (void)snprintf(
        ret_machine->kernel,
        sizeof(ret_machine->kernel),
        "%.31s %.63s %.31s",
        name.sysname,
        name.release,
        name.machine);
    long pages = sysconf(_SC_PHYS_PAGES);
    if (pages > 0) {
        ret_machine->memory_bytes = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
    }
}
