#include "keys.h"

#include "base/assert.h"
#include "os/fault.h"
#include "os/secret.h"
#include "vault/master.h"

#include <string.h>

#define FINGERPRINT_ID "fingerprint"

enum {
    /* A data key, and behind it the key of look-ups. */
    PAIR_SIZE = 2 * VAULT_KEY_SIZE,
    WRAPPED_MAX = VAULT_NONCE_SIZE + PAIR_SIZE + VAULT_TAG_SIZE
};

enum {
    DATA_KEY_WRAPPED,
    DATA_KEY_GENERATION
};

const struct document_kind vault_data_key_kind = {
    .name = "data_key",
    .columns =
        {
            {.name = "wrapped", .type = DOCUMENT_TEXT},
            /* None: the first. */
            {.name = "generation", .type = DOCUMENT_INTEGER},
        },
    .column_count = 2,
};

static_assert(VAULT_MASTER_SIZE == VAULT_KEY_SIZE, "a master key is a key");

void
vault_hex(const uint8_t *bytes, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        out[i * 2] = digits[bytes[i] >> 4];
        out[i * 2 + 1] = digits[bytes[i] & 15];
    }
}

/* ----------------------------------------------------------------------------- the master key ---
 */

static err_t
load_master(
    struct vault_key_memory *keys, const struct vault_keys_place *place, uint32_t generation)
{
    uint8_t master[VAULT_MASTER_SIZE];
    TRY(vault_master_load(place->disk, place->folder, generation, master));
    err_t error = vault_mac(master, SPAN("tael vault 1: wrapping"), keys->wrapping);
    if (error == ERR_OK && generation == VAULT_GENERATION_FIRST) {
        error = vault_mac(master, SPAN("tael vault 1: fingerprint"), keys->fingerprint);
        if (error == ERR_OK) {
            error = vault_mac(master, SPAN("tael vault 1: lookup"), keys->derived_lookup);
        }
    }
    explicit_bzero(master, sizeof(master));
    keys->generation = generation;
    return error;
}

/* Says what is wrong with a generation's file. */
static err_t
explain(
    const struct vault_keys_place *place,
    uint32_t generation,
    err_t error,
    const char *why,
    char message[VAULT_MESSAGE_SIZE])
{
    char name[VAULT_MASTER_NAME_SIZE];
    struct buf text;
    vault_master_name(generation, name);
    buf_init_fixed(&text, message, VAULT_MESSAGE_SIZE - 1);
    buf_append_format(&text, "vault master key %s/%s: %s", place->folder, name, why);
    message[text.size] = '\0';
    return error;
}

/* -------------------------------------------------------------------------------- wrapped rows ---
 */

static err_t
wrap(
    const struct vault_key_memory *keys,
    struct os_entropy *entropy,
    struct span id,
    struct span text,
    char ret_hex[WRAPPED_MAX * 2])
{
    uint8_t wrapped[WRAPPED_MAX];
    ASSERT(text.size <= PAIR_SIZE);
    entropy->fill(entropy, wrapped, VAULT_NONCE_SIZE);
    TRY(vault_seal(keys->wrapping, wrapped, id, text, wrapped + VAULT_NONCE_SIZE));
    vault_hex(wrapped, VAULT_NONCE_SIZE + text.size + VAULT_TAG_SIZE, ret_hex);
    return ERR_OK;
}

/* `out` gets exactly `size` bytes. */
static err_t
unwrap(
    const struct vault_key_memory *keys, struct span id, struct span hex, uint8_t *out, size_t size)
{
    uint8_t wrapped[WRAPPED_MAX];
    size_t wrapped_size = VAULT_NONCE_SIZE + size + VAULT_TAG_SIZE;
    ASSERT(size <= PAIR_SIZE);
    if (!span_parse_hex(hex, wrapped, wrapped_size)) {
        return ERR_CORRUPT;
    }
    return vault_open(
        keys->wrapping,
        wrapped,
        id,
        span_of(wrapped + VAULT_NONCE_SIZE, wrapped_size - VAULT_NONCE_SIZE),
        out);
}

/* Inserts the row, or updates the one of this version. Inside a transaction. */
static err_t
write_row(
    const struct vault_keys_place *place,
    struct span id,
    uint32_t version,
    uint32_t generation,
    struct span hex)
{
    const struct document_store_ops *ops = place->documents->ops;
    struct document_row row = {.id = id, .version = version, .body = SPAN("{}")};
    row.columns[DATA_KEY_WRAPPED].text = hex;
    row.columns[DATA_KEY_GENERATION].integer = generation;
    return version == 0 ? ops->insert(place->documents, &vault_data_key_kind, &row)
                        : ops->update(place->documents, &vault_data_key_kind, &row);
}

static err_t
write_data_key(
    const struct vault_key_memory *keys,
    const struct vault_keys_place *place,
    struct vault_data_key *data)
{
    uint8_t pair[PAIR_SIZE];
    char hex[WRAPPED_MAX * 2];
    struct span id = span_from_cstr(data->id);
    memcpy(pair, data->key, VAULT_KEY_SIZE);
    memcpy(pair + VAULT_KEY_SIZE, data->lookup, VAULT_KEY_SIZE);
    err_t error = wrap(keys, place->entropy, id, span_of(pair, sizeof(pair)), hex);
    explicit_bzero(pair, sizeof(pair));
    TRY(error);
    TRY(write_row(place, id, data->version, data->generation, span_of(hex, sizeof(hex))));
    data->version++;
    return ERR_OK;
}

static err_t
write_fingerprint(struct vault_key_memory *keys, const struct vault_keys_place *place)
{
    char hex[WRAPPED_MAX * 2];
    const size_t size = VAULT_NONCE_SIZE + VAULT_KEY_SIZE + VAULT_TAG_SIZE;
    struct span id = SPAN(FINGERPRINT_ID);
    TRY(wrap(keys, place->entropy, id, span_of(keys->fingerprint, sizeof(keys->fingerprint)), hex));
    TRY(write_row(place, id, keys->fingerprint_version, 0, span_of(hex, size * 2)));
    keys->fingerprint_version++;
    return ERR_OK;
}

/* A data key of the generation in use, in memory. */
static void
make_data_key(struct vault_key_memory *keys, struct os_entropy *entropy, uint64_t unix_ms)
{
    struct id_generator generator = {0};
    ASSERT(keys->data_count < VAULT_DATA_KEYS_MAX);
    struct vault_data_key *data = &keys->data[keys->data_count++];
    memset(data, 0, sizeof(*data));
    (void)id_format("dk_", id_next(&generator, unix_ms, os_random_u128(entropy)), data->id);
    data->generation = keys->generation;
    entropy->fill(entropy, data->key, sizeof(data->key));
    entropy->fill(entropy, data->lookup, sizeof(data->lookup));
}

/* Everything under the wrapping key of `keys`, in one transaction. */
static err_t
write_all(struct vault_key_memory *keys, const struct vault_keys_place *place)
{
    struct document_store *documents = place->documents;
    TRY(documents->ops->begin(documents));
    err_t error = write_fingerprint(keys, place);
    for (uint32_t i = 0; i < keys->data_count && error == ERR_OK; i++) {
        error = write_data_key(keys, place, &keys->data[i]);
    }
    if (error != ERR_OK) {
        documents->ops->rollback(documents);
        return error;
    }
    return documents->ops->commit(documents);
}

/* --------------------------------------------------------------------------------------- opening
 * --- */

struct load {
    struct vault_key_memory *keys;
    uint32_t generation; /* the highest; 0: there is no data key */
    bool unwraps;        /* false: looks for the generation only */
    char last[ID_TEXT_SIZE];
    uint32_t count; /* of one list */
    err_t error;
};

static err_t
remember(struct vault_key_memory *keys, const struct document_row *row, uint32_t generation)
{
    struct vault_data_key data = {.generation = generation, .version = row->version};
    uint8_t pair[PAIR_SIZE] = {0};
    struct span hex = row->columns[DATA_KEY_WRAPPED].text;
    const bool is_pair = hex.size == sizeof(pair) * 2 + 2 * (VAULT_NONCE_SIZE + VAULT_TAG_SIZE);
    if (keys->data_count == VAULT_DATA_KEYS_MAX) {
        return ERR_FULL;
    }
    /* Only the first generation's master key has keys derived from it. */
    if (row->id.size >= sizeof(data.id) ||
        (!is_pair && keys->generation != VAULT_GENERATION_FIRST)) {
        return ERR_CORRUPT;
    }
    memcpy(pair + VAULT_KEY_SIZE, keys->derived_lookup, VAULT_KEY_SIZE);
    err_t error = unwrap(keys, row->id, hex, pair, is_pair ? PAIR_SIZE : VAULT_KEY_SIZE);
    memcpy(data.id, row->id.data, row->id.size);
    memcpy(data.key, pair, VAULT_KEY_SIZE);
    memcpy(data.lookup, pair + VAULT_KEY_SIZE, VAULT_KEY_SIZE);
    explicit_bzero(pair, sizeof(pair));
    if (error == ERR_OK) {
        uint32_t at = keys->data_count++;
        for (; at > 0 && keys->data[at - 1].generation > generation; at--) {
            keys->data[at] = keys->data[at - 1];
        }
        keys->data[at] = data;
    }
    explicit_bzero(&data, sizeof(data));
    return error;
}

static bool
load_one(void *context, const struct document_row *row)
{
    struct load *load = context;
    int64_t generation = row->columns[DATA_KEY_GENERATION].integer;
    bool is_fingerprint = span_equal_cstr(row->id, FINGERPRINT_ID);
    load->count++;
    if (row->id.size >= sizeof(load->last) || generation < 0 || generation > VAULT_GENERATION_MAX) {
        load->error = ERR_CORRUPT;
        return false;
    }
    memset(load->last, 0, sizeof(load->last));
    memcpy(load->last, row->id.data, row->id.size);
    uint32_t of = generation == 0 ? VAULT_GENERATION_FIRST : (uint32_t)generation;
    if (!load->unwraps) {
        load->generation = !is_fingerprint && of > load->generation ? of : load->generation;
    } else if (is_fingerprint) {
        struct vault_key_memory *keys = load->keys;
        load->error = unwrap(
            keys,
            row->id,
            row->columns[DATA_KEY_WRAPPED].text,
            keys->fingerprint,
            sizeof(keys->fingerprint));
        keys->fingerprint_version = row->version;
    } else {
        load->error = remember(load->keys, row, of);
    }
    return load->error == ERR_OK;
}

static err_t
load_rows(const struct vault_keys_place *place, struct load *load)
{
    do {
        struct document_query query = {
            .oldest_first = true,
            .range_column = UINT32_MAX,
            .limit = DOCUMENT_LIST_MAX,
            .id_above = span_from_cstr(load->last),
        };
        load->count = 0;
        TRY(place->documents->ops->list(
            place->documents, &vault_data_key_kind, &query, load_one, load));
        TRY(load->error);
    } while (load->count != 0);
    return ERR_OK;
}

/* The first generation, in a database that has none. Its file may be there: of a start that was cut
 * off. */
static err_t
begin_vault(
    struct vault_key_memory *keys,
    const struct vault_keys_place *place,
    uint64_t unix_ms,
    char message[VAULT_MESSAGE_SIZE])
{
    uint32_t oldest = 0;
    uint32_t newest = 0;
    TRY(vault_master_range(place->disk, place->folder, &oldest, &newest));
    if (newest > VAULT_GENERATION_FIRST) {
        return explain(
            place,
            newest,
            ERR_CORRUPT,
            "it is there, and vault.db, whose key it is, is empty or not there",
            message);
    }
    if (newest == 0) {
        err_t made =
            vault_master_make(place->disk, place->entropy, place->folder, VAULT_GENERATION_FIRST);
        if (made != ERR_OK) {
            return explain(place, VAULT_GENERATION_FIRST, made, err_text(made), message);
        }
    }
    err_t error = load_master(keys, place, VAULT_GENERATION_FIRST);
    if (error != ERR_OK) {
        return explain(place, VAULT_GENERATION_FIRST, error, err_text(error), message);
    }
    place->entropy->fill(place->entropy, keys->fingerprint, sizeof(keys->fingerprint));
    make_data_key(keys, place->entropy, unix_ms);
    return write_all(keys, place);
}

static err_t
open_keys(
    struct vault_key_memory *keys,
    const struct vault_keys_place *place,
    uint64_t unix_ms,
    char message[VAULT_MESSAGE_SIZE])
{
    struct load look = {.keys = keys};
    struct load load = {.keys = keys, .unwraps = true};
    TRY(load_rows(place, &look));
    if (look.generation == 0) {
        return begin_vault(keys, place, unix_ms, message);
    }
    err_t error = load_master(keys, place, look.generation);
    if (error != ERR_OK) {
        return explain(place, look.generation, error, err_text(error), message);
    }
    error = load_rows(place, &load);
    if (error == ERR_OK && keys->fingerprint_version == 0 &&
        keys->generation != VAULT_GENERATION_FIRST) {
        error = ERR_CORRUPT;
    }
    return error != ERR_CORRUPT
               ? error
               : explain(place, look.generation, error, "it does not open vault.db", message);
}

err_t
vault_keys_open(
    const struct vault_keys_place *place,
    uint64_t unix_ms,
    struct vault_key_memory **ret_keys,
    char message[VAULT_MESSAGE_SIZE])
{
    bool locked;
    struct vault_key_memory *keys = os_secret_alloc(sizeof(*keys), &locked);
    if (keys == NULL) {
        return ERR_MEMORY;
    }
    err_t error = open_keys(keys, place, unix_ms, message);
    if (error != ERR_OK) {
        vault_keys_close(&keys);
        return error;
    }
    ASSERT(keys->data_count > 0);
    *ret_keys = keys;
    return ERR_OK;
}

void
vault_keys_close(struct vault_key_memory **keys)
{
    os_secret_free(*keys, sizeof(**keys));
    *keys = NULL;
}

/* ------------------------------------------------------------------------------------ generations
 * --- */

err_t
vault_keys_rotate(
    struct vault_key_memory *keys, const struct vault_keys_place *place, uint64_t unix_ms)
{
    uint32_t generation = keys->generation + 1;
    bool locked;
    if (vault_keys_old_count(keys) > 0) {
        return ERR_BUSY;
    }
    if (keys->data_count == VAULT_DATA_KEYS_MAX || generation > VAULT_GENERATION_MAX) {
        return ERR_FULL;
    }
    TRY(vault_master_make(place->disk, place->entropy, place->folder, generation));
    FAULT_POINT("vault-before-rotate");
    /* Only what is committed is used. */
    struct vault_key_memory *next = os_secret_alloc(sizeof(*next), &locked);
    if (next == NULL) {
        return ERR_MEMORY;
    }
    *next = *keys;
    err_t error = load_master(next, place, generation);
    if (error == ERR_OK) {
        make_data_key(next, place->entropy, unix_ms);
        error = write_all(next, place);
        FAULT_POINT("vault-after-rotate");
    }
    if (error == ERR_OK) {
        *keys = *next;
    }
    vault_keys_close(&next);
    return error;
}

uint32_t
vault_keys_old_count(const struct vault_key_memory *keys)
{
    uint32_t count = 0;
    while (keys->data[count].generation < keys->generation) {
        count++;
        ASSERT(count < keys->data_count);
    }
    return count;
}

static err_t
remove_rows(
    const struct vault_key_memory *keys, const struct vault_keys_place *place, uint32_t count)
{
    struct document_store *documents = place->documents;
    TRY(documents->ops->begin(documents));
    for (uint32_t i = 0; i < count; i++) {
        const struct vault_data_key *data = &keys->data[i];
        err_t error = documents->ops->remove(
            documents, &vault_data_key_kind, 0, span_from_cstr(data->id), data->version);
        if (error != ERR_OK) {
            documents->ops->rollback(documents);
            return error;
        }
    }
    return documents->ops->commit(documents);
}

err_t
vault_keys_retire(struct vault_key_memory *keys, const struct vault_keys_place *place)
{
    uint32_t count = vault_keys_old_count(keys);
    if (count > 0) {
        TRY(remove_rows(keys, place, count));
        keys->data_count -= count;
        memmove(keys->data, keys->data + count, keys->data_count * sizeof(keys->data[0]));
        explicit_bzero(keys->data + keys->data_count, count * sizeof(keys->data[0]));
        explicit_bzero(keys->derived_lookup, sizeof(keys->derived_lookup));
    }
    FAULT_POINT("vault-before-files");
    return vault_master_remove_before(place->disk, place->folder, keys->generation);
}

const struct vault_data_key *
vault_keys_find(const struct vault_key_memory *keys, struct span id)
{
    for (uint32_t i = keys->data_count; i > 0; i--) {
        if (span_equal_cstr(id, keys->data[i - 1].id)) {
            return &keys->data[i - 1];
        }
    }
    return NULL;
}

const struct vault_data_key *
vault_keys_current(const struct vault_key_memory *keys)
{
    ASSERT(keys->data_count > 0);
    return &keys->data[keys->data_count - 1];
}
