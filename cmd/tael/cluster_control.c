/*
 * One more api process, or one less, while a cluster runs. Who asks writes DATA/request; the one
 * that runs finds it within CLUSTER_REQUEST_MS, does it, and writes DATA/answer. Whoever may write
 * into the folder may ask. One asks at a time (DATA/request.lock).
 */
#include "cluster.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEXT_MAX  256
#define WAIT_S    180
#define POLL_MS   20
#define ANSWER_OK "ok "

/* --------------------------------------------------------------------------------- its folder */

/* An advisory lock that ends with the process. */
static err_t
lock_take(const struct cluster *cluster, const char *name, struct os_file **ret_file)
{
    char path[CLUSTER_WORD_SIZE];
    struct os_disk *disk = os_disk_real();
    struct os_file *file = NULL;
    cluster_path(cluster, name, path);
    err_t result = disk->ops->open(disk, path, OS_OPEN_CREATE, false, &file, NULL);
    if (result == ERR_EXISTS) {
        result = disk->ops->open(disk, path, OS_OPEN_WRITE, false, &file, NULL);
    }
    if (result != ERR_OK) {
        return result;
    }
    result = disk->ops->lock(disk, file);
    if (result != ERR_OK) {
        disk->ops->close(disk, file);
        return result;
    }
    *ret_file = file;
    return ERR_OK;
}

err_t
cluster_lock(struct cluster *cluster)
{
    return lock_take(cluster, "lock", &cluster->lock);
}

static bool
somebody_runs(const struct cluster *cluster)
{
    struct os_file *file = NULL;
    err_t result = lock_take(cluster, "lock", &file);
    if (result == ERR_OK) {
        os_disk_real()->ops->close(os_disk_real(), file);
    }
    return result == ERR_LOCKED;
}

/* A file's text with a zero behind it; false: it is not there. It is then removed. */
static bool
file_take(const struct cluster *cluster, const char *name, char out[TEXT_MAX + 1])
{
    char path[CLUSTER_WORD_SIZE];
    char *text = NULL;
    size_t size = 0;
    struct os_disk *disk = os_disk_real();
    cluster_path(cluster, name, path);
    err_t result = os_file_load(disk, path, TEXT_MAX, &text, &size);
    if (result == ERR_OK) {
        memcpy(out, text, size);
        out[size] = '\0';
        free(text);
    }
    if (result != ERR_NOT_FOUND) {
        (void)!disk->ops->remove(disk, path);
    }
    return result == ERR_OK;
}

/* ----------------------------------------------------------------------------- the one that runs
 */

static void
answer(const struct cluster *cluster, const char *text)
{
    err_t result =
        os_file_save(os_disk_real(), cluster->settings.node.data, "answer", span_from_cstr(text));
    if (result != ERR_OK) {
        (void)command_fail(cluster->command, "answer: %s", err_text(result));
    }
}

static void
serve_add(struct cluster *cluster)
{
    char text[TEXT_MAX];
    if (!cluster->shared) {
        answer(cluster, "several api processes need documents on PostgreSQL");
        return;
    }
    if (cluster_count(cluster, CLUSTER_API) == CLUSTER_API_MAX) {
        answer(cluster, "there are as many as there may be");
        return;
    }
    const struct cluster_process *process = cluster_api_add(cluster);
    if (process == NULL) {
        answer(cluster, "it did not start; the cluster's own output says why");
        return;
    }
    (void)snprintf(
        text,
        sizeof(text),
        ANSWER_OK "%s: pid %d, listens %s",
        process->name,
        (int)process->pid,
        process->listening);
    answer(cluster, text);
}

static void
serve_drain(struct cluster *cluster, const char *name)
{
    char text[TEXT_MAX];
    struct cluster_process *process = cluster_find(cluster, name);
    if (process == NULL || process->kind != CLUSTER_API) {
        answer(cluster, "there is no api process of that name");
    } else if (cluster_count(cluster, CLUSTER_API) == 1) {
        answer(cluster, "it is the last one");
    } else if (!cluster_api_drain(cluster, process)) {
        answer(cluster, "it did not end well; the cluster's own output says more");
    } else {
        (void)printf("%s: drained\n", name);
        (void)fflush(stdout);
        (void)snprintf(text, sizeof(text), ANSWER_OK "%s: drained", name);
        answer(cluster, text);
    }
}

void
cluster_control_serve(struct cluster *cluster)
{
    char text[TEXT_MAX + 1];
    if (!file_take(cluster, "request", text)) {
        return;
    }
    struct span rest = span_from_cstr(text);
    struct span verb = span_cut(&rest, ' ');
    if (span_equal(verb, SPAN("add")) && rest.size == 0) {
        serve_add(cluster);
    } else if (span_equal(verb, SPAN("drain")) && rest.size > 0) {
        serve_drain(cluster, rest.data); /* to the zero behind the text */
    } else {
        answer(cluster, "there are add, and drain NAME");
    }
}

/* ------------------------------------------------------------------------------- the one that asks
 */

/* Until it is answered, or nobody runs who could. */
static int
await_answer(const struct cluster *cluster, const char *verb)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    char text[TEXT_MAX + 1] = "";
    bool found = false;
    for (unsigned i = 0; i < WAIT_S * 1000 / POLL_MS && !found; i++) {
        (void)nanosleep(&pause, NULL);
        bool runs = somebody_runs(cluster);
        found = file_take(cluster, "answer", text);
        if (!found && !runs) {
            return command_fail(cluster->command, "%s: the cluster has ended", verb);
        }
    }
    if (!found) {
        return command_fail(cluster->command, "%s: no answer in %d s", verb, WAIT_S);
    }
    if (strncmp(text, ANSWER_OK, strlen(ANSWER_OK)) != 0) {
        return command_fail(cluster->command, "%s: %s", verb, text);
    }
    (void)printf("%s\n", text + strlen(ANSWER_OK));
    return COMMAND_OK;
}

int
cluster_control_ask(const struct cluster *cluster, const char *verb, const char *name)
{
    char request[TEXT_MAX];
    char old[TEXT_MAX + 1];
    struct os_file *lock = NULL;
    const char *data = cluster->settings.node.data;
    int size = snprintf(request, sizeof(request), "%s%s%s", verb, *name == '\0' ? "" : " ", name);
    if (size < 0 || (size_t)size >= sizeof(request)) {
        return command_misuse(cluster->command, "no process has such a long name");
    }
    if (!somebody_runs(cluster)) {
        return command_fail(cluster->command, "no cluster runs on %s", data);
    }
    err_t result = lock_take(cluster, "request.lock", &lock);
    if (result == ERR_LOCKED) {
        return command_fail(cluster->command, "somebody else asks for something");
    }
    if (result == ERR_OK) {
        (void)file_take(cluster, "answer", old); /* of one who did not wait for it */
        result = os_file_save(os_disk_real(), data, "request", span_of(request, (size_t)size));
    }
    int status = result == ERR_OK
                     ? await_answer(cluster, verb)
                     : command_fail(cluster->command, "%s: %s", data, err_text(result));
    if (lock != NULL) {
        os_disk_real()->ops->close(os_disk_real(), lock);
    }
    return status;
}
