#include "keys.h"

#include "base/assert.h"
#include "os/key_file.h"
#include "os/secret.h"

#include <stdlib.h>
#include <string.h>

enum {
    WRAPPED_SIZE = VAULT_NONCE_SIZE + VAULT_KEY_SIZE + VAULT_TAG_SIZE
};

enum {
    DATA_KEY_WRAPPED
};

const struct document_kind vault_data_key_kind = {
    .name = "data_key",
    .columns = {{.name = "wrapped", .type = DOCUMENT_TEXT}},
    .column_count = 1,
};

void
vault_hex(const uint8_t *bytes, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        out[i * 2] = digits[bytes[i] >> 4];
        out[i * 2 + 1] = digits[bytes[i] & 15];
    }
}

/* ------------------------------------------------------------------------------- master key --- */

static err_t
derive(struct vault_key_memory *keys, const uint8_t master[VAULT_KEY_SIZE])
{
    TRY(vault_mac(master, SPAN("tael vault 1: wrapping"), keys->wrapping));
    TRY(vault_mac(master, SPAN("tael vault 1: fingerprint"), keys->fingerprint));
    return vault_mac(master, SPAN("tael vault 1: lookup"), keys->lookup);
}

static err_t
read_master(struct os_disk *disk, const char *path, struct vault_key_memory *keys)
{
    uint8_t master[VAULT_KEY_SIZE];
    TRY(os_key_file_load(disk, path, master, sizeof(master)));
    err_t error = derive(keys, master);
    explicit_bzero(master, sizeof(master));
    return error;
}

err_t
vault_keys_open(
    struct os_disk *disk,
    struct os_entropy *entropy,
    const char *folder,
    struct vault_key_memory **ret_keys,
    char message[VAULT_MESSAGE_SIZE])
{
    enum {
        PATH_SIZE = 4096
    };

    char path[PATH_SIZE];
    struct buf name;
    struct buf text;
    bool locked;
    buf_init_fixed(&name, path, sizeof(path));
    buf_append_format(&name, "%s/master.key", folder);
    buf_append_byte(&name, '\0');
    if (buf_failed(&name)) {
        return ERR_RANGE;
    }
    struct vault_key_memory *keys = os_secret_alloc(sizeof(*keys), &locked);
    if (keys == NULL) {
        return ERR_MEMORY;
    }
    err_t error = read_master(disk, path, keys);
    if (error == ERR_NOT_FOUND) {
        error = os_key_file_make(disk, entropy, folder, "master.key", VAULT_KEY_SIZE);
        if (error == ERR_OK) {
            error = read_master(disk, path, keys);
        }
    }
    if (error != ERR_OK) {
        buf_init_fixed(&text, message, VAULT_MESSAGE_SIZE);
        buf_append_format(&text, "vault master key %s: %s", path, err_text(error));
        buf_append_byte(&text, '\0');
        message[VAULT_MESSAGE_SIZE - 1] = '\0';
        vault_keys_close(&keys);
        return error;
    }
    *ret_keys = keys;
    return ERR_OK;
}

void
vault_keys_close(struct vault_key_memory **keys)
{
    os_secret_free(*keys, sizeof(**keys));
    *keys = NULL;
}

/* -------------------------------------------------------------------------------- data keys --- */

static err_t
remember(struct vault_key_memory *keys, struct span id, struct span wrapped_hex)
{
    uint8_t wrapped[WRAPPED_SIZE];
    if (keys->data_count == VAULT_DATA_KEYS_MAX) {
        return ERR_FULL;
    }
    if (id.size >= ID_TEXT_SIZE || !span_parse_hex(wrapped_hex, wrapped, sizeof(wrapped))) {
        return ERR_CORRUPT;
    }
    struct vault_data_key *data = &keys->data[keys->data_count];
    TRY(vault_open(
        keys->wrapping,
        wrapped,
        id,
        span_of(wrapped + VAULT_NONCE_SIZE, sizeof(wrapped) - VAULT_NONCE_SIZE),
        data->key));
    memset(data->id, 0, sizeof(data->id));
    memcpy(data->id, id.data, id.size);
    keys->data_count++;
    return ERR_OK;
}

err_t
vault_keys_add(
    struct vault_key_memory *keys,
    struct document_store *documents,
    struct os_entropy *entropy,
    uint64_t unix_ms)
{
    uint8_t key[VAULT_KEY_SIZE];
    uint8_t wrapped[WRAPPED_SIZE];
    char hex[WRAPPED_SIZE * 2];
    char text[ID_TEXT_SIZE];
    struct id_generator generator = {0};
    u128 id = id_next(&generator, unix_ms, os_random_u128(entropy));
    struct span key_id = span_of(text, id_format("dk_", id, text));
    entropy->fill(entropy, key, sizeof(key));
    entropy->fill(entropy, wrapped, VAULT_NONCE_SIZE);
    err_t error = vault_seal(
        keys->wrapping, wrapped, key_id, span_of(key, sizeof(key)), wrapped + VAULT_NONCE_SIZE);
    explicit_bzero(key, sizeof(key));
    TRY(error);
    vault_hex(wrapped, sizeof(wrapped), hex);
    struct document_row row = {.id = key_id, .body = SPAN("{}")};
    row.columns[DATA_KEY_WRAPPED].text = span_of(hex, sizeof(hex));
    TRY(documents->ops->begin(documents));
    error = documents->ops->insert(documents, &vault_data_key_kind, &row);
    if (error != ERR_OK) {
        documents->ops->rollback(documents);
        return error;
    }
    TRY(documents->ops->commit(documents));
    return remember(keys, key_id, span_of(hex, sizeof(hex)));
}

struct load {
    struct vault_key_memory *keys;
    err_t error;
};

static bool
load_one(void *context, const struct document_row *row)
{
    struct load *load = context;
    load->error = remember(load->keys, row->id, row->columns[DATA_KEY_WRAPPED].text);
    return load->error == ERR_OK;
}

err_t
vault_keys_load(
    struct vault_key_memory *keys,
    struct document_store *documents,
    struct os_entropy *entropy,
    uint64_t unix_ms)
{
    struct load load = {.keys = keys};
    char last[ID_TEXT_SIZE] = "";
    uint32_t before;
    do {
        before = keys->data_count;
        struct document_query query = {
            .oldest_first = true,
            .range_column = UINT32_MAX,
            .limit = DOCUMENT_LIST_MAX,
            .id_above = span_from_cstr(last),
        };
        TRY(documents->ops->list(documents, &vault_data_key_kind, &query, load_one, &load));
        TRY(load.error);
        if (keys->data_count != 0) {
            memcpy(last, keys->data[keys->data_count - 1].id, sizeof(last));
        }
    } while (keys->data_count != before);
    if (keys->data_count == 0) {
        return vault_keys_add(keys, documents, entropy, unix_ms);
    }
    return ERR_OK;
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
