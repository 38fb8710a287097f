#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testing.h"

#include "base/list.h"
#include "keys.h"
#include "stored.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define T_LONG_NS (10 * OS_NS_PER_S)

static void
network_done(struct os_task *task)
{
    struct port_network_request *request = CONTAINER_OF(task, struct port_network_request, task);
    request->done(request);
}

static void
network_submit(struct port_network *network, struct port_network_request *request)
{
    struct t_network *self = CONTAINER_OF(network, struct t_network, network);
    self->seen = request->card;
    self->count++;
    request->answer.outcome = PORT_RAIL_APPROVED;
    request->task.run = network_done;
    os_post(request->reply_to, &request->task);
}

err_t
t_try_start(struct t_bench *bench, char message[VAULT_MESSAGE_SIZE])
{
    assert_int_equal(os_loops_create(os_sim_loops(bench->sim), "vault", &bench->loop), ERR_OK);
    bench->network.network.submit = network_submit;
    bench->network.network.simulated = true;
    struct vault_parts parts = {
        .loop = bench->loop,
        .clock = os_sim_clock(bench->sim),
        .entropy = os_sim_entropy(bench->sim),
        .disk = bench->disk,
        .folder = bench->folder,
        .network = &bench->network.network,
    };
    err_t error = vault_create(&parts, &bench->vault, message);
    if (error == ERR_OK) {
        assert_int_equal(os_loop_start(bench->loop), ERR_OK);
    }
    return error;
}

void
t_start(struct t_bench *bench)
{
    char message[VAULT_MESSAGE_SIZE];
    err_t error = t_try_start(bench, message);
    if (error != ERR_OK) {
        fail_msg("%s: %s", err_name(error), message);
    }
}

void
t_stop(struct t_bench *bench)
{
    if (bench->vault != NULL) {
        os_loop_stop(bench->loop);
    }
    vault_destroy(&bench->vault);
    assert_null(bench->vault);
    os_loop_destroy(bench->loop);
}

int
t_setup(void **state)
{
    struct t_bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    (void)snprintf(bench->folder, sizeof(bench->folder), "/tmp/tael-vault-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    assert_int_equal(os_sim_create(7, &bench->sim), ERR_OK);
    bench->disk = os_disk_real();
    t_start(bench);
    *state = bench;
    return 0;
}

void
t_path(const struct t_bench *bench, const char *name, char out[256])
{
    (void)snprintf(out, 256, "%s/%s", bench->folder, name);
}

static void
remove_one(void *context, const char *name)
{
    char path[256];
    t_path(context, name, path);
    (void)unlink(path);
}

int
t_teardown(void **state)
{
    struct t_bench *bench = *state;
    struct os_disk *disk = os_disk_real();
    t_stop(bench);
    os_sim_destroy(&bench->sim);
    assert_int_equal(disk->ops->list(disk, bench->folder, remove_one, bench), ERR_OK);
    assert_int_equal(rmdir(bench->folder), 0);
    free(bench);
    return 0;
}

void
t_ignore(struct port_vault_tokenize *request)
{
    (void)request;
}

struct port_vault_tokenize
t_tokenize(struct t_bench *bench, uint64_t scope, const char *number, const char *cvc)
{
    struct port_vault_tokenize request = {
        .reply_to = os_loop_executor(bench->loop),
        .done = t_ignore,
        .scope = scope,
        .number = span_from_cstr(number),
        .cvc = span_from_cstr(cvc),
        .exp_month = 12,
        .exp_year = 2030,
    };
    vault_port(bench->vault)->tokenize(vault_port(bench->vault), &request);
    assert_true(os_sim_run_until_idle(bench->sim, T_STEPS));
    assert_int_equal(request.error, ERR_OK);
    return request;
}

static void
ignore_network(struct port_network_request *request)
{
    (void)request;
}

err_t
t_authorize(struct t_bench *bench, uint64_t scope, const char *token)
{
    struct port_rail_request rail = {.operation = PORT_RAIL_AUTHORIZE, .scope = scope};
    (void)snprintf(rail.token, sizeof(rail.token), "%s", token);
    struct port_network_request request = {
        .reply_to = os_loop_executor(bench->loop),
        .done = ignore_network,
        .rail = &rail,
    };
    struct port_network *network = vault_network(bench->vault);
    network->submit(network, &request);
    assert_true(os_sim_run_until_idle(bench->sim, T_STEPS));
    return request.error;
}

bool
t_file_holds(const struct t_bench *bench, const char *name, const char *text)
{
    char path[256];
    t_path(bench, name, path);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    static char content[1 << 22];
    size_t size = fread(content, 1, sizeof(content), file);
    (void)fclose(file);
    return memmem(content, size, text, strlen(text)) != NULL;
}

static void
rotate_done(struct vault_rotate *request)
{
    (void)request;
}

err_t
t_rotate(struct t_bench *bench)
{
    struct vault_rotate request = {
        .reply_to = os_loop_executor(bench->loop), .done = rotate_done, .error = ERR_MEMORY};
    vault_rotate(bench->vault, &request);
    assert_true(os_sim_run_until_idle(bench->sim, T_STEPS));
    return request.error;
}

struct vault_rotation
t_look(const struct t_bench *bench)
{
    struct vault_rotation rotation;
    vault_rotation_look(bench->vault, &rotation);
    return rotation;
}

void
t_finish(struct t_bench *bench)
{
    assert_true(os_sim_run_for(bench->sim, T_LONG_NS, T_STEPS));
    assert_false(t_look(bench).under_way);
    assert_int_equal(os_sim_next_timer_ns(bench->sim), 0);
}

struct document_store *
t_open_documents(const struct t_bench *bench)
{
    static const struct document_kind *const kinds[] = {&vault_card_kind, &vault_data_key_kind};
    char path[256];
    char url[300];
    char message[DOCUMENT_MESSAGE_SIZE];
    struct document_store *documents;
    t_path(bench, "vault.db", path);
    (void)snprintf(url, sizeof(url), "sqlite:%s", path);
    assert_int_equal(document_store_open(url, kinds, 2, &documents, message), ERR_OK);
    return documents;
}

static void
change(struct document_store *documents, const struct t_change *change)
{
    struct arena arena;
    struct document_row row;
    struct span id = span_from_cstr(change->token);
    const struct document_store_ops *ops = documents->ops;
    arena_init(&arena, 1 << 16);
    assert_int_equal(
        ops->get(documents, &vault_card_kind, change->scope, id, &arena, &row), ERR_OK);
    row.columns[change->column].text = change->text;
    assert_int_equal(ops->update(documents, &vault_card_kind, &row), ERR_OK);
    arena_release(&arena);
}

void
t_change(struct t_bench *bench, const struct t_change *changes, uint32_t count)
{
    t_stop(bench);
    struct document_store *documents = t_open_documents(bench);
    assert_int_equal(documents->ops->begin(documents), ERR_OK);
    for (uint32_t i = 0; i < count; i++) {
        change(documents, &changes[i]);
    }
    assert_int_equal(documents->ops->commit(documents), ERR_OK);
    documents->ops->close(documents);
    t_start(bench);
}

static struct {
    struct document_store_ops ops;
    const struct document_store_ops *real;
    uint32_t succeed;
} shim; /* of one store at a time */

static err_t
commit_fails(struct document_store *store)
{
    if (shim.succeed-- > 0) {
        return shim.real->commit(store);
    }
    shim.real->rollback(store);
    store->ops = shim.real;
    return ERR_DISK_FULL;
}

void
t_fail_commit(struct document_store *store, uint32_t succeed)
{
    shim.real = store->ops;
    shim.ops = *store->ops;
    shim.ops.commit = commit_fails;
    shim.succeed = succeed;
    store->ops = &shim.ops;
}
