#include "vault/vault.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/list.h"
#include "private.h"
#include "trace/span.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ARENA_MAX   (1u << 20)
#define CACHE_SLOTS 8192

static const struct hash_key cache_key = {0x7661756c74206331, 0x7661756c74206332};

struct vault_stored *
vault_cache_slot(struct vault_stored *cache, const char *text)
{
    return &cache[hash_keyed(cache_key, span_from_cstr(text)) % CACHE_SLOTS];
}

/* ------------------------------------------------------------------------------- tokenizing --- */

static err_t
fingerprint(
    struct vault *vault,
    uint64_t scope,
    const char *digits,
    char ret_fingerprint[PORT_VAULT_FINGERPRINT_SIZE])
{
    static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    enum {
        FINGERPRINT_LENGTH = 16
    };

    char text[96];
    uint8_t mac[VAULT_MAC_SIZE];
    struct buf buf;
    buf_init_fixed(&buf, text, sizeof(text));
    /* Two scopes of one merchant: test and live never share a fingerprint's meaning, but do share
     * the merchant. */
    buf_append_format(&buf, "%llu|%s", (unsigned long long)(scope / 2), digits);
    err_t error = vault_mac(vault->keys->fingerprint, buf_span(&buf), mac);
    explicit_bzero(text, sizeof(text));
    TRY(error);
    for (size_t i = 0; i < FINGERPRINT_LENGTH; i++) {
        ret_fingerprint[i] = alphabet[mac[i] % (sizeof(alphabet) - 1)];
    }
    ret_fingerprint[FINGERPRINT_LENGTH] = '\0';
    return ERR_OK;
}

static bool
take_first(void *context, const struct document_row *row)
{
    vault_stored_from_row(context, row);
    return false;
}

static err_t
begin(struct vault *vault)
{
    if (!vault->writing) {
        TRY(vault->documents->ops->begin(vault->documents));
        vault->writing = true;
    }
    return ERR_OK;
}

static err_t
insert_card(struct vault *vault, const char *digits, struct vault_stored *card)
{
    char text[ID_TEXT_SIZE];
    struct document_row row;
    const struct vault_data_key *key = vault_keys_current(vault->keys);
    uint64_t now_ms = os_wall_ns(vault->parts.clock) / OS_NS_PER_MS;
    u128 id = id_next(&vault->ids, now_ms, os_random_u128(vault->parts.entropy));
    (void)id_format("card_", id, text);
    vault_set_text(card->token, sizeof(card->token), span_from_cstr(text));
    TRY(vault_stored_look_up(key, digits, card));
    TRY(vault_stored_seal(key, vault->parts.entropy, digits, card));
    vault_stored_to_row(card, &row);
    TRY(begin(vault));
    return vault->documents->ops->insert(vault->documents, &vault_card_kind, &row);
}

/* Finds the card under this key; leaves its token empty if it is not there, or not to be read. */
static err_t
find(
    struct vault *vault,
    const struct vault_data_key *key,
    const char *digits,
    struct vault_stored *card)
{
    TRY(vault_stored_look_up(key, digits, card));
    struct vault_stored *cached = vault_cache_slot(vault->by_lookup, card->lookup);
    if (strcmp(cached->lookup, card->lookup) == 0) {
        *card = *cached;
        return ERR_OK;
    }
    struct vault_stored found = {0};
    struct document_query query = {
        .scope = card->scope,
        .filters = {{.column = VAULT_CARD_LOOKUP, .value = {.text = span_from_cstr(card->lookup)}}},
        .filter_count = 1,
        .range_column = UINT32_MAX,
        .limit = 1,
    };
    TRY(vault->documents->ops->list(
        vault->documents, &vault_card_kind, &query, take_first, &found));
    /* A card that was set aside is of no use to whoever gives its number now. */
    if (found.token[0] == '\0' || strcmp(found.key_id, VAULT_SET_ASIDE) == 0) {
        return ERR_OK;
    }
    *card = found;
    if (!vault->writing) {
        *cached = found;
    }
    return ERR_OK;
}

/* Finds the card or stores it. While a rotation is under way it may be under an older key yet. */
static err_t
find_or_insert(struct vault *vault, const char *digits, struct vault_stored *card)
{
    const struct vault_key_memory *keys = vault->keys;
    for (uint32_t i = keys->data_count; i > 0 && card->token[0] == '\0'; i--) {
        TRY(find(vault, &keys->data[i - 1], digits, card));
    }
    return card->token[0] == '\0' ? insert_card(vault, digits, card) : ERR_OK;
}

static enum port_vault_outcome
check_expiry(struct vault *vault, int64_t month, int64_t *year)
{
    enum {
        YEARS_AHEAD_MAX = 50,
        CENTURY = 2000
    };

    time_t now = (time_t)(os_wall_ns(vault->parts.clock) / OS_NS_PER_S);
    struct tm date;
    if (gmtime_r(&now, &date) == NULL) {
        return PORT_VAULT_INVALID_YEAR;
    }
    int64_t this_year = date.tm_year + 1900;
    if (*year >= 0 && *year < 100) {
        *year += CENTURY;
    }
    if (month < 1 || month > 12) {
        return PORT_VAULT_INVALID_MONTH;
    }
    if (*year < this_year || *year > this_year + YEARS_AHEAD_MAX) {
        return PORT_VAULT_INVALID_YEAR;
    }
    return *year == this_year && month < date.tm_mon + 1 ? PORT_VAULT_INVALID_MONTH : PORT_VAULT_OK;
}

static err_t
load_card(struct vault *vault, uint64_t scope, const char *token, struct vault_stored *card)
{
    struct vault_stored *cached = vault_cache_slot(vault->by_token, token);
    if (strcmp(cached->token, token) == 0 && cached->scope == scope) {
        *card = *cached;
        return ERR_OK;
    }
    struct document_row row;
    arena_clear(&vault->arena);
    TRY(vault->documents->ops->get(
        vault->documents, &vault_card_kind, scope, span_from_cstr(token), &vault->arena, &row));
    vault_stored_from_row(card, &row);
    if (!vault->writing) {
        *cached = *card;
    }
    return ERR_OK;
}

/* The number that the request is about; `stored` has room for that of a token's card. */
static err_t
number_of(
    struct vault *vault,
    const struct port_vault_tokenize *request,
    char stored[VAULT_NUMBER_SIZE],
    struct span *ret_number)
{
    *ret_number = request->number;
    if (request->token.size == 0) {
        return ERR_OK;
    }
    struct vault_stored card;
    char token[PORT_VAULT_TOKEN_SIZE];
    if (request->token.size >= sizeof(token)) {
        return ERR_NOT_FOUND;
    }
    vault_set_text(token, sizeof(token), request->token);
    TRY(load_card(vault, request->scope, token, &card));
    TRY(vault_stored_open(vault->keys, &card, stored));
    *ret_number = span_from_cstr(stored);
    return ERR_OK;
}

/* Fills `digits`, the expiry and the description, or says what is wrong with the card. */
static enum port_vault_outcome
read_card(
    struct vault *vault,
    struct port_vault_tokenize *request,
    struct span number,
    char digits[VAULT_NUMBER_SIZE])
{
    if (request->test_token.size != 0) {
        const char *test_number = vault_card_of_test_token(request->test_token);
        if (test_number == NULL) {
            return PORT_VAULT_UNKNOWN_TOKEN;
        }

        enum {
            TEST_EXPIRY_YEAR = 2034,
            TEST_EXPIRY_MONTH = 12
        };

        number = span_from_cstr(test_number);
        request->exp_month = TEST_EXPIRY_MONTH;
        request->exp_year = TEST_EXPIRY_YEAR;
        /* The tokens stand for a card that was typed in with its code. */
        request->cvc = SPAN("123");
    }
    if (!vault_card_digits(number, digits)) {
        return PORT_VAULT_INVALID_NUMBER;
    }
    if (!vault_card_check_digit(digits)) {
        return PORT_VAULT_INCORRECT_NUMBER;
    }
    enum port_vault_outcome expiry = check_expiry(vault, request->exp_month, &request->exp_year);
    if (expiry != PORT_VAULT_OK) {
        return expiry;
    }
    vault_card_describe(digits, &request->card);
    request->card.exp_month = (uint8_t)request->exp_month;
    request->card.exp_year = (uint16_t)request->exp_year;
    request->card.cvc_provided = request->cvc.size != 0;
    if (request->cvc.size != 0 && !vault_card_cvc_is_valid(request->card.brand, request->cvc)) {
        return PORT_VAULT_INVALID_CVC;
    }
    return PORT_VAULT_OK;
}

static err_t
tokenize(struct vault *vault, struct port_vault_tokenize *request)
{
    char digits[VAULT_NUMBER_SIZE];
    char stored[VAULT_NUMBER_SIZE] = "";
    struct span number;
    memset(&request->card, 0, sizeof(request->card));
    err_t error = number_of(vault, request, stored, &number);
    request->outcome =
        error == ERR_OK ? read_card(vault, request, number, digits) : PORT_VAULT_UNKNOWN_TOKEN;
    explicit_bzero(stored, sizeof(stored));
    if (request->outcome != PORT_VAULT_OK) {
        explicit_bzero(digits, sizeof(digits));
        return error == ERR_NOT_FOUND ? ERR_OK : error;
    }
    struct vault_stored card = {
        .scope = request->scope,
        .expiry = request->exp_year * 100 + request->exp_month,
    };
    error = fingerprint(vault, request->scope, digits, request->card.fingerprint);
    if (error == ERR_OK) {
        error = find_or_insert(vault, digits, &card);
    }
    explicit_bzero(digits, sizeof(digits));
    TRY(error);
    vault_set_text(request->card.token, sizeof(request->card.token), span_from_cstr(card.token));
    if (request->cvc.size != 0) {
        vault_cvcs_put(&vault->cvcs, card.token, request->cvc, os_monotonic_ns(vault->parts.clock));
    }
    return ERR_OK;
}

/* ------------------------------------------------------------------------- answers by group --- */

static void
run_tokenize_done(struct os_task *task)
{
    struct port_vault_tokenize *request = CONTAINER_OF(task, struct port_vault_tokenize, task);
    request->done(request);
}

static void
run_tokenize(struct os_task *task)
{
    struct port_vault_tokenize *request = CONTAINER_OF(task, struct port_vault_tokenize, task);
    struct vault *vault = request->vault;
    request->error = tokenize(vault, request);
    task->next = NULL;
    if (vault->waiting_last != NULL) {
        vault->waiting_last->next = task;
    } else {
        vault->waiting_first = task;
    }
    vault->waiting_last = task;
}

static void
tokenize_traced(const struct port_vault_tokenize *request)
{
    struct trace_span span;
    if (request->trace_began_ns != 0) {
        trace_span_start_at(
            &request->trace, TRACE_INTERNAL, "vault tokenize", request->trace_began_ns, &span);
        if (request->error != ERR_OK) {
            trace_span_fail(&span, err_name(request->error));
        }
        trace_span_end(&span);
    }
}

static void
commit_group(struct vault *vault)
{
    err_t error = ERR_OK;
    if (vault->writing) {
        vault->writing = false;
        error = vault->documents->ops->commit(vault->documents);
    }
    struct os_task *task = vault->waiting_first;
    vault->waiting_first = NULL;
    vault->waiting_last = NULL;
    while (task != NULL) {
        struct os_task *next = task->next;
        struct port_vault_tokenize *request = CONTAINER_OF(task, struct port_vault_tokenize, task);
        if (request->error == ERR_OK) {
            request->error = error;
        }
        tokenize_traced(request);
        task->run = run_tokenize_done;
        os_post(request->reply_to, task);
        task = next;
    }
}

static void
group_end(struct os_group_hook *hook)
{
    struct vault *vault = CONTAINER_OF(hook, struct vault, hook);
    commit_group(vault);
    ASSERT(!vault->writing);
    vault_rotating_turn(vault);
}

static void
port_tokenize(struct port_vault *port, struct port_vault_tokenize *request)
{
    struct vault *vault = CONTAINER_OF(port, struct vault, port);
    request->vault = vault;
    request->trace_began_ns = trace_now_ns(&request->trace);
    request->task.run = run_tokenize;
    os_post(os_loop_executor(vault->parts.loop), &request->task);
}

/* --------------------------------------------------------------------- the network by token --- */

static err_t
put_card_in(struct vault *vault, struct port_network_request *request)
{
    struct vault_stored card;
    TRY(load_card(vault, request->rail->scope, request->rail->token, &card));
    static_assert(sizeof(request->card.number) == VAULT_NUMBER_SIZE, "width of a number");
    TRY(vault_stored_open(vault->keys, &card, request->card.number));
    request->card.exp_year = (uint16_t)(card.expiry / 100);
    request->card.exp_month = (uint8_t)(card.expiry % 100);
    vault_cvcs_take(
        &vault->cvcs, card.token, os_monotonic_ns(vault->parts.clock), request->card.cvc);
    return ERR_OK;
}

static void
run_network_done(struct os_task *task)
{
    struct port_network_request *request = CONTAINER_OF(task, struct port_network_request, task);
    request->done(request);
}

static void
run_network_submit(struct os_task *task)
{
    struct port_network_request *request = CONTAINER_OF(task, struct port_network_request, task);
    struct vault *vault = request->vault;
    request->error =
        request->rail->operation == PORT_RAIL_AUTHORIZE ? put_card_in(vault, request) : ERR_OK;
    trace_span_add(
        &request->trace, "vault card", request->trace_began_ns, trace_now_ns(&request->trace));
    if (request->error != ERR_OK) {
        explicit_bzero(&request->card, sizeof(request->card));
        task->run = run_network_done;
        os_post(request->reply_to, task);
        return;
    }
    vault->parts.network->submit(vault->parts.network, request);
}

static void
network_submit(struct port_network *network, struct port_network_request *request)
{
    struct vault *vault = CONTAINER_OF(network, struct vault, network);
    request->vault = vault;
    request->trace_began_ns = trace_now_ns(&request->trace);
    request->task.run = run_network_submit;
    os_post(os_loop_executor(vault->parts.loop), &request->task);
}

/* ---------------------------------------------------------------------------------- life cycle ---
 */

static err_t
open_documents(struct vault *vault, char message[VAULT_MESSAGE_SIZE])
{
    enum {
        URL_SIZE = 4096
    };
    static const struct document_kind *const kinds[] = {&vault_card_kind, &vault_data_key_kind};
    char url[URL_SIZE];
    struct buf buf;
    buf_init_fixed(&buf, url, sizeof(url));
    buf_append_format(&buf, "sqlite:%s/vault.db", vault->parts.folder);
    buf_append_byte(&buf, '\0');
    if (buf_failed(&buf)) {
        return ERR_RANGE;
    }
    static_assert(VAULT_MESSAGE_SIZE >= DOCUMENT_MESSAGE_SIZE, "messages pass through");
    return document_store_open(url, kinds, 2, &vault->documents, message);
}

static err_t
open_all(struct vault *vault, char message[VAULT_MESSAGE_SIZE])
{
    const struct vault_parts *parts = &vault->parts;
    TRY(parts->disk->ops->make_folder(parts->disk, parts->folder));
    TRY(open_documents(vault, message));
    vault->place = (struct vault_keys_place){
        .disk = parts->disk,
        .entropy = parts->entropy,
        .documents = vault->documents,
        .folder = parts->folder,
    };
    TRY(vault_keys_open(
        &vault->place, os_wall_ns(parts->clock) / OS_NS_PER_MS, &vault->keys, message));
    vault->by_lookup = calloc(CACHE_SLOTS, sizeof(*vault->by_lookup));
    vault->by_token = calloc(CACHE_SLOTS, sizeof(*vault->by_token));
    if (vault->by_lookup == NULL || vault->by_token == NULL) {
        return ERR_MEMORY;
    }
    TRY(vault_cvcs_init(&vault->cvcs));
    return vault_rotating_open(vault);
}

err_t
vault_create(
    const struct vault_parts *parts, struct vault **ret_vault, char message[VAULT_MESSAGE_SIZE])
{
    size_t folder_size = strlen(parts->folder) + 1;
    message[0] = '\0';
    if (folder_size > OS_PATH_SIZE) {
        return ERR_RANGE;
    }
    struct vault *vault = calloc(1, sizeof(*vault));
    if (vault == NULL) {
        return ERR_MEMORY;
    }
    memcpy(vault->folder, parts->folder, folder_size);
    vault->parts = *parts;
    vault->parts.folder = vault->folder;
    vault->port.tokenize = port_tokenize;
    vault->network.submit = network_submit;
    vault->network.simulated = parts->network->simulated;
    vault->hook.group_end = group_end;
    arena_init(&vault->arena, ARENA_MAX);
    err_t error = open_all(vault, message);
    if (error != ERR_OK) {
        vault_destroy(&vault);
        return error;
    }
    parts->loop->ops->add_group_hook(parts->loop, &vault->hook);
    *ret_vault = vault;
    return ERR_OK;
}

void
vault_destroy(struct vault **vault)
{
    struct vault *gone = *vault;
    if (gone == NULL) {
        return;
    }
    *vault = NULL;
    if (gone->cvcs.entries != NULL) {
        vault_cvcs_release(&gone->cvcs);
    }
    if (gone->documents != NULL) {
        gone->documents->ops->close(gone->documents);
    }
    vault_keys_close(&gone->keys);
    vault_aside_close(gone);
    arena_wipe(&gone->arena);
    arena_release(&gone->arena);
    free(gone->by_lookup);
    free(gone->by_token);
    free(gone->work.batch);
    free(gone);
}

struct port_vault *
vault_port(struct vault *vault)
{
    return &vault->port;
}

struct port_network *
vault_network(struct vault *vault)
{
    return &vault->network;
}
