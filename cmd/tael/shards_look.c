/* `tael shards list` and `verify`: what the shards say, beside what the map says. */
#include "shards.h"

#include "json/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGE      2000
#define LEDGERS   4096 /* different ledger numbers */
#define TRIES     10   /* sums of a shard that works may differ from page to page */
#define TEXT_SIZE (UINT32_C(1) << 20)

static const struct setting look_settings[] = {SHARDS_OPTIONS};

/* Balances of one ledger number, modulo 2^128. */
struct sum {
    uint32_t ledger;
    u128 posted; /* debits less credits */
    u128 pending;
    u128 own_posted; /* of accounts that the map gives to the shard that has them */
    u128 own_pending;
};

struct look {
    struct shards_link *link;
    struct port_ledger_shard shards[SHARD_SHARDS_MAX];
    err_t errors[SHARD_SHARDS_MAX];
    uint64_t accounts[SHARD_SHARDS_MAX]; /* of its own slots */
    uint64_t frozen[SHARD_SHARDS_MAX];   /* of slots that left or arrive */
    uint64_t strange;                    /* where neither the map nor a move says that they are */
    u128 strange_id;
    struct ledger_account *page;
    struct sum *sums; /* of one shard, then of all */
    uint32_t sum_count;
    struct sum *totals;
    uint32_t total_count;
};

static bool
slot_has(const uint64_t *slots, uint32_t slot)
{
    return (slots[slot / 64] >> slot % 64 & 1) != 0;
}

static err_t
ask_state(struct look *look, uint32_t shard)
{
    const struct port_ledger_shard_order order = {.kind = PORT_LEDGER_SHARD_LOOK};
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_SHARD, .count = 1, .epoch = PORT_LEDGER_EPOCH_MOVER};
    request.in.order = &order;
    request.out.shard = &look->shards[shard];
    return shards_link_ask(look->link, shard, &request);
}

static struct sum *
sum_of(struct sum *sums, uint32_t *count, uint32_t ledger)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (sums[i].ledger == ledger) {
            return &sums[i];
        }
    }
    if (*count == LEDGERS) {
        return NULL;
    }
    sums[*count] = (struct sum){.ledger = ledger};
    return &sums[(*count)++];
}

static err_t
note_account(struct look *look, uint32_t shard, const struct ledger_account *account)
{
    uint32_t slot = shard_slot_of_id(account->id);
    const struct port_ledger_shard *state = &look->shards[shard];
    bool stands_in = ledger_is_stand_in(account->id);
    bool own = !stands_in && look->link->map->owners[slot] == shard;
    struct sum *sum = sum_of(look->sums, &look->sum_count, account->ledger);
    if (sum == NULL) {
        return ERR_FULL;
    }
    u128 posted = account->debits_posted - account->credits_posted;
    u128 pending = account->debits_pending - account->credits_pending;
    sum->posted += posted;
    sum->pending += pending;
    sum->own_posted += own ? posted : 0;
    sum->own_pending += own ? pending : 0;
    look->accounts[shard] += own;
    look->frozen[shard] += !own && !stands_in;
    if (!own && !stands_in && !slot_has(state->left, slot) && !slot_has(state->arriving, slot)) {
        look->strange++;
        look->strange_id = account->id;
    }
    return ERR_OK;
}

/* Page by page; a page that ends within one time goes on with that time. */
static err_t
read_accounts(struct look *look, uint32_t shard)
{
    struct port_ledger_filter filter = {.limit = PAGE};
    struct port_ledger_request request = {.operation = PORT_LEDGER_QUERY_ACCOUNTS};
    look->accounts[shard] = 0;
    look->frozen[shard] = 0;
    look->sum_count = 0;
    do {
        request.epoch = PORT_LEDGER_EPOCH_MOVER;
        request.in.filter = &filter;
        request.out.accounts = look->page;
        TRY(shards_link_ask(look->link, shard, &request));
        uint32_t count = request.out_count;
        bool full = count == PAGE;
        uint64_t last = count == 0 ? 0 : look->page[count - 1].timestamp;
        if (full && look->page[0].timestamp == last) {
            return ERR_FULL;
        }
        while (full && look->page[count - 1].timestamp == last) {
            count--;
        }
        for (uint32_t i = 0; i < count; i++) {
            TRY(note_account(look, shard, &look->page[i]));
        }
        filter.timestamp_min = full ? last : last + 1;
    } while (request.out_count > 0);
    return ERR_OK;
}

static void
look_close(struct look *look)
{
    if (look != NULL) {
        free(look->page);
        free(look->sums);
        free(look->totals);
    }
    free(look);
}

/* NULL after saying that there is no memory. */
static struct look *
look_open(struct shards_link *link)
{
    struct look *look = calloc(1, sizeof(*look));
    if (look != NULL) {
        look->link = link;
        look->page = calloc(PAGE, sizeof(*look->page));
        look->sums = calloc(LEDGERS, sizeof(*look->sums));
        look->totals = calloc(LEDGERS, sizeof(*look->totals));
        if (look->page != NULL && look->sums != NULL && look->totals != NULL) {
            return look;
        }
        look_close(look);
    }
    (void)command_fail(link->command, "out of memory");
    return NULL;
}

/* ---- list ---- */

static uint32_t
count_slots(const uint64_t *slots)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
        count += slot_has(slots, slot);
    }
    return count;
}

static uint32_t
count_owned(const struct shard_map *map, uint32_t shard)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
        count += map->owners[slot] == shard;
    }
    return count;
}

static void
list_json(const struct look *look)
{
    struct buf out;
    struct json_writer json;
    const struct shard_map *map = look->link->map;
    buf_init(&out, TEXT_SIZE);
    json_begin(&json, &out);
    json_object_begin(&json);
    json_member_i64(&json, "epoch", (int64_t)map->epoch);
    json_key(&json, "shards");
    json_array_begin(&json);
    for (uint32_t i = 0; i < map->shard_count; i++) {
        const struct port_ledger_shard *shard = &look->shards[i];
        json_object_begin(&json);
        json_member_cstr(&json, "name", map->shards[i].name);
        json_member_cstr(&json, "at", map->shards[i].at);
        json_member_i64(&json, "slots", count_owned(map, i));
        if (look->errors[i] != ERR_OK) {
            char why[SHARDS_MESSAGE_SIZE];
            shards_link_why(look->link, i, look->errors[i], why);
            json_member_cstr(&json, "error", why);
        } else {
            json_member_i64(&json, "epoch", (int64_t)shard->epoch);
            json_member_i64(&json, "accounts", (int64_t)look->accounts[i]);
            json_member_i64(&json, "accounts_left_or_arriving", (int64_t)look->frozen[i]);
            json_member_i64(&json, "slots_fenced", count_slots(shard->fence));
            json_member_i64(&json, "slots_arriving", count_slots(shard->arriving));
            json_member_i64(&json, "slots_left", count_slots(shard->left));
        }
        json_object_end(&json);
    }
    json_array_end(&json);
    json_object_end(&json);
    (void)printf("%.*s\n", SPAN_PRINTF(buf_span(&out)));
    buf_release(&out);
}

static bool
list_table(const struct look *look)
{
    static const struct show_column columns[] = {
        {.title = "SHARD"},
        {.title = "AT"},
        {.title = "SLOTS", .right = true},
        {.title = "ACCOUNTS", .right = true},
        {.title = "EPOCH", .right = true},
        {.title = ""},
    };
    struct show_table table;
    const struct shard_map *map = look->link->map;
    show_table_begin(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (uint32_t i = 0; i < map->shard_count; i++) {
        const struct port_ledger_shard *shard = &look->shards[i];
        bool good = look->errors[i] == ERR_OK;
        show_cell(&table, SHOW_BOLD, "%s", map->shards[i].name);
        show_cell(&table, SHOW_PLAIN, "%s", map->shards[i].at);
        show_cell(&table, SHOW_PLAIN, "%" PRIu32, count_owned(map, i));
        show_cell(&table, SHOW_PLAIN, "%" PRIu64, look->accounts[i]);
        show_cell(&table, SHOW_PLAIN, "%" PRIu64, good ? shard->epoch : 0);
        if (!good) {
            char why[SHARDS_MESSAGE_SIZE];
            shards_link_why(look->link, i, look->errors[i], why);
            show_cell(&table, SHOW_RED, "%s", why);
        } else if (shard->fence_epoch != 0) {
            show_cell(&table, SHOW_YELLOW, "%" PRIu32 " slots fenced", count_slots(shard->fence));
        } else if (count_slots(shard->arriving) != 0) {
            show_cell(
                &table, SHOW_YELLOW, "%" PRIu32 " slots arriving", count_slots(shard->arriving));
        } else {
            show_cell(&table, SHOW_DIM, "%s", shard->epoch == map->epoch ? "" : "another epoch");
        }
    }
    return show_table_finish(&table);
}

/* Behind what is shown: it is not the shards' fault, and no later look will show more. */
static int
list_refusal(const struct look *look)
{
    char message[SHARDS_MESSAGE_SIZE];
    bool denied = false;
    for (uint32_t i = 0; i < look->link->map->shard_count; i++) {
        denied = denied || look->errors[i] == ERR_DENIED;
    }
    return denied && shards_link_refusal(look->link, message)
               ? command_fail(look->link->command, "%s", message)
               : COMMAND_OK;
}

static int
run_list(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct shards_options options;
    struct shards_link link;
    const struct shards_needs needs = {COMMAND_TABLE(look_settings), .connects = true};
    int status = shards_begin(command, &needs, argv, &options, &link);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    struct look *look = look_open(&link);
    status = look != NULL ? COMMAND_OK : COMMAND_FAILED;
    for (uint32_t i = 0; status == COMMAND_OK && i < link.map->shard_count; i++) {
        look->errors[i] = ask_state(look, i);
        if (look->errors[i] == ERR_OK) {
            look->errors[i] = read_accounts(look, i);
        }
    }
    if (status == COMMAND_OK && options.json) {
        list_json(look);
    } else if (status == COMMAND_OK) {
        status = list_table(look) ? COMMAND_OK : COMMAND_FAILED;
    }
    if (status == COMMAND_OK) {
        (void)fflush(stdout);
        status = list_refusal(look);
    }
    look_close(look);
    shards_link_close(&link);
    return status;
}

/* ---- verify ---- */

static bool
balances(const struct sum *sums, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (sums[i].posted != 0 || sums[i].pending != 0) {
            return false;
        }
    }
    return true;
}

static bool
own_balances(const struct sum *sums, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (sums[i].own_posted != 0 || sums[i].own_pending != 0) {
            return false;
        }
    }
    return true;
}

static void
total_add(struct look *look)
{
    for (uint32_t i = 0; i < look->sum_count; i++) {
        struct sum *total = sum_of(look->totals, &look->total_count, look->sums[i].ledger);
        if (total != NULL) {
            total->own_posted += look->sums[i].own_posted;
            total->own_pending += look->sums[i].own_pending;
        }
    }
}

/* Everything once. *ret_why: what is wrong, or NULL. `again`: it may be the work that goes on. */
static err_t
verify_once(struct look *look, const char **ret_why, uint32_t *ret_shard, bool *again)
{
    const struct shard_map *map = look->link->map;
    *ret_why = NULL;
    *again = false;
    look->strange = 0;
    look->total_count = 0;
    for (uint32_t i = 0; i < map->shard_count; i++) {
        *ret_shard = i;
        TRY(ask_state(look, i));
        if (look->shards[i].epoch != map->epoch) {
            *ret_why = "goes by another epoch than the map's";
            return ERR_OK;
        }
        if (look->shards[i].fence_epoch != 0) {
            *ret_why = "has slots fenced: a move was cut off";
            return ERR_OK;
        }
        TRY(read_accounts(look, i));
        if (look->strange != 0) {
            *ret_why = "has accounts that are another shard's";
            return ERR_OK;
        }
        if (!balances(look->sums, look->sum_count)) {
            *ret_why = "debits are not credits, or the work that went on changed them meanwhile";
            *again = true;
            return ERR_OK;
        }
        total_add(look);
    }
    if (!own_balances(look->totals, look->total_count)) {
        *ret_why = "and the others: debits are not credits over all of them, or the work that went "
                   "on changed them meanwhile";
        *again = true;
    }
    return ERR_OK;
}

static int
verify_tell(const struct look *look, const char *why, uint32_t shard)
{
    const struct shard_map *map = look->link->map;
    uint64_t accounts = 0;
    uint64_t frozen = 0;
    for (uint32_t i = 0; i < map->shard_count; i++) {
        accounts += look->accounts[i];
        frozen += look->frozen[i];
    }
    if (look->link->options->json) {
        char text[1024];
        struct buf out;
        struct json_writer json;
        buf_init_fixed(&out, text, sizeof(text));
        json_begin(&json, &out);
        json_object_begin(&json);
        json_member_bool(&json, "good", why == NULL);
        json_member_i64(&json, "epoch", (int64_t)map->epoch);
        json_member_i64(&json, "accounts", (int64_t)accounts);
        json_member_i64(&json, "accounts_left_or_arriving", (int64_t)frozen);
        json_member_i64(&json, "ledgers", look->total_count);
        if (why != NULL) {
            json_member_cstr(&json, "shard", map->shards[shard].name);
            json_member_cstr(&json, "problem", why);
        }
        json_object_end(&json);
        (void)printf("%.*s\n", SPAN_PRINTF(buf_span(&out)));
        return why == NULL ? COMMAND_OK : COMMAND_FAILED;
    }
    if (why != NULL) {
        return command_fail(look->link->command, "%s %s", map->shards[shard].name, why);
    }
    (void)printf(
        "%" PRIu32 " shards, epoch %" PRIu64 ": %" PRIu64
        " accounts, each where the map says; %" PRIu64
        " frozen copies; debits are credits in %" PRIu32 " ledgers\n",
        map->shard_count,
        map->epoch,
        accounts,
        frozen,
        look->total_count);
    return COMMAND_OK;
}

static int
verify(struct look *look)
{
    const char *why = NULL;
    uint32_t shard = 0;
    bool again = true;
    for (int i = 0; again && i < TRIES; i++) {
        err_t result = verify_once(look, &why, &shard, &again);
        if (result != ERR_OK) {
            char message[SHARDS_MESSAGE_SIZE];
            shards_link_tell(look->link, shard, result, message);
            return command_fail(look->link->command, "%s", message);
        }
    }
    return verify_tell(look, why, shard);
}

static int
run_verify(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct shards_options options;
    struct shards_link link;
    const struct shards_needs needs = {COMMAND_TABLE(look_settings), .connects = true};
    int status = shards_begin(command, &needs, argv, &options, &link);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    struct look *look = look_open(&link);
    status = look != NULL ? verify(look) : COMMAND_FAILED;
    look_close(look);
    shards_link_close(&link);
    return status;
}

const struct command shards_list = {
    .name = "list",
    .usage = "[OPTIONS]",
    .summary = "Shows the shards: slots, accounts, epochs, and moves that are not finished",
    .run = run_list,
    .parent = &command_shards,
};
const struct command shards_verify = {
    .name = "verify",
    .usage = "[OPTIONS]",
    .summary = "Sees that every account is where the map says, and that debits are credits",
    .manual =
        "Accounts are read page by page: while the shards work, sums may differ for that alone; "
        "it is tried ten times.",
    .run = run_verify,
    .parent = &command_shards,
};
