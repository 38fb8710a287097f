#include "callback/secret.h"

#include "base/assert.h"
#include "os/key_file.h"
#include "os/secret.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define KEY_FILE      "master.key"
#define PATH_SIZE     OS_PATH_SIZE
#define SEALED_BYTES  (CALLBACK_SEALED_SIZE / 2)
#define CIPHER_OFFSET CALLBACK_NONCE_SIZE
#define TAG_OFFSET    (CALLBACK_NONCE_SIZE + CALLBACK_SECRET_SIZE)

/* ------------------------------------------------------------------------------------- the keys */

/* What is wrong with the file, unless nothing is. */
static void
explain(err_t error, const char *path, uint32_t line, char message[CALLBACK_MESSAGE_SIZE])
{
    struct buf text;
    buf_init_fixed(&text, message, CALLBACK_MESSAGE_SIZE - 1);
    buf_append_format(&text, "the key of the webhooks' secrets, %s: ", path);
    if (error == ERR_CORRUPT) {
        buf_append_format(
            &text,
            "line %u: not %d hexadecimal digits, nor a comment with # before it",
            line,
            2 * CALLBACK_KEY_SIZE);
    } else if (error == ERR_FULL) {
        buf_append_format(&text, "line %u: more than %d keys", line, CALLBACK_KEYS_MAX);
    } else {
        buf_append_cstr(&text, err_text(error));
    }
    message[text.size] = '\0';
}

static err_t
read_file(
    struct os_disk *disk,
    const char *path,
    struct callback_keys *keys,
    char message[CALLBACK_MESSAGE_SIZE])
{
    static_assert(sizeof(keys->keys[0]) == CALLBACK_KEY_SIZE, "one behind the other");
    struct os_key_room room = {
        .keys = keys->keys[0].bytes, .size = CALLBACK_KEY_SIZE, .max = CALLBACK_KEYS_MAX};
    uint32_t line = 0;
    err_t result = os_key_file_load_several(disk, path, &room, &keys->count, &line);
    if (result != ERR_OK) {
        explain(result, path, line, message);
    }
    return result;
}

static err_t
keys_alloc(struct callback_keys **ret_keys)
{
    bool locked;
    *ret_keys = os_secret_alloc(sizeof(**ret_keys), &locked);
    return *ret_keys == NULL ? ERR_MEMORY : ERR_OK;
}

err_t
callback_keys_load(
    struct os_disk *disk,
    const char *path,
    struct callback_keys **ret_keys,
    char message[CALLBACK_MESSAGE_SIZE])
{
    struct callback_keys *keys;
    TRY(keys_alloc(&keys));
    err_t result = read_file(disk, path, keys, message);
    if (result != ERR_OK) {
        callback_keys_close(&keys);
        return result;
    }
    *ret_keys = keys;
    return ERR_OK;
}

err_t
callback_keys_open(
    struct os_disk *disk,
    struct os_entropy *entropy,
    const char *folder,
    bool must_exist,
    struct callback_keys **ret_keys,
    char message[CALLBACK_MESSAGE_SIZE])
{
    char path[PATH_SIZE];
    struct buf name;
    struct callback_keys *keys;
    buf_init_fixed(&name, path, sizeof(path));
    buf_append_format(&name, "%s/" KEY_FILE, folder);
    buf_append_byte(&name, '\0');
    if (buf_failed(&name)) {
        return ERR_RANGE;
    }
    TRY(keys_alloc(&keys));
    err_t result = disk->ops->make_folder(disk, folder);
    if (result == ERR_OK) {
        result = read_file(disk, path, keys, message);
    } else {
        explain(result, path, 0, message);
    }
    if (result == ERR_NOT_FOUND && !must_exist) {
        result = os_key_file_make(disk, entropy, folder, KEY_FILE, CALLBACK_KEY_SIZE);
        if (result == ERR_OK) {
            result = read_file(disk, path, keys, message);
        } else {
            explain(result, path, 0, message);
        }
    }
    if (result != ERR_OK) {
        callback_keys_close(&keys);
        return result;
    }
    *ret_keys = keys;
    return ERR_OK;
}

void
callback_keys_close(struct callback_keys **keys)
{
    os_secret_free(*keys, sizeof(**keys));
    *keys = NULL;
}

void
callback_key_name(const struct callback_key *key, char out[CALLBACK_KEY_NAME_SIZE])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    struct buf hex;
    int done = EVP_Digest(key->bytes, sizeof(key->bytes), digest, NULL, EVP_sha256(), NULL);
    ASSERT(done == 1); /* SHA-256 is always there */
    buf_init_fixed(&hex, out, CALLBACK_KEY_NAME_SIZE);
    buf_append_hex(&hex, digest, (CALLBACK_KEY_NAME_SIZE - 1) / 2);
    buf_append_byte(&hex, '\0');
    ASSERT(!buf_failed(&hex));
}

const struct callback_key *
callback_keys_sealing(const struct callback_keys *keys)
{
    return keys->sealing < keys->count ? &keys->keys[keys->sealing] : NULL;
}

err_t
callback_keys_unseal(
    const struct callback_keys *keys,
    struct span endpoint_id,
    struct span sealed,
    char ret_secret[CALLBACK_SECRET_SIZE],
    uint32_t *ret_key)
{
    err_t result = ERR_CORRUPT;
    for (uint32_t i = 0; i < keys->count && result == ERR_CORRUPT; i++) {
        result = callback_secret_open(&keys->keys[i], endpoint_id, sealed, ret_secret);
        if (result == ERR_OK && ret_key != NULL) {
            *ret_key = i;
        }
    }
    return result;
}

/* -------------------------------------------------------------------------------------- sealing */

err_t
callback_secret_seal(
    const struct callback_key *key,
    struct os_entropy *entropy,
    struct span endpoint_id,
    const char secret[CALLBACK_SECRET_SIZE],
    char ret_sealed[CALLBACK_SEALED_SIZE])
{
    uint8_t sealed[SEALED_BYTES];
    int size = 0;
    int rest = 0;
    ASSERT(endpoint_id.size <= INT_MAX);
    entropy->fill(entropy, sealed, CALLBACK_NONCE_SIZE);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool done =
        context != NULL &&
        EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key->bytes, sealed) == 1 &&
        EVP_EncryptUpdate(
            context, NULL, &size, (const unsigned char *)endpoint_id.data, (int)endpoint_id.size) ==
            1 &&
        EVP_EncryptUpdate(
            context,
            sealed + CIPHER_OFFSET,
            &size,
            (const unsigned char *)secret,
            CALLBACK_SECRET_SIZE) == 1 &&
        EVP_EncryptFinal_ex(context, sealed + CIPHER_OFFSET + size, &rest) == 1 &&
        EVP_CIPHER_CTX_ctrl(
            context, EVP_CTRL_GCM_GET_TAG, CALLBACK_TAG_SIZE, sealed + TAG_OFFSET) == 1;
    EVP_CIPHER_CTX_free(context);
    if (!done) {
        return ERR_CRYPTO;
    }
    struct buf hex;
    buf_init_fixed(&hex, ret_sealed, CALLBACK_SEALED_SIZE);
    buf_append_hex(&hex, sealed, sizeof(sealed));
    ASSERT(!buf_failed(&hex));
    return ERR_OK;
}

err_t
callback_secret_open(
    const struct callback_key *key,
    struct span endpoint_id,
    struct span sealed_hex,
    char ret_secret[CALLBACK_SECRET_SIZE])
{
    uint8_t sealed[SEALED_BYTES];
    int size = 0;
    int rest = 0;
    ASSERT(endpoint_id.size <= INT_MAX);
    if (!span_parse_hex(sealed_hex, sealed, sizeof(sealed))) {
        return ERR_CORRUPT;
    }
    unsigned char clear[CALLBACK_SECRET_SIZE];
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool ready =
        context != NULL &&
        EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key->bytes, sealed) == 1 &&
        EVP_DecryptUpdate(
            context, NULL, &size, (const unsigned char *)endpoint_id.data, (int)endpoint_id.size) ==
            1 &&
        EVP_DecryptUpdate(context, clear, &size, sealed + CIPHER_OFFSET, CALLBACK_SECRET_SIZE) ==
            1 &&
        EVP_CIPHER_CTX_ctrl(
            context, EVP_CTRL_GCM_SET_TAG, CALLBACK_TAG_SIZE, sealed + TAG_OFFSET) == 1;
    bool authentic = ready && EVP_DecryptFinal_ex(context, clear + size, &rest) == 1;
    EVP_CIPHER_CTX_free(context);
    if (authentic) {
        memcpy(ret_secret, clear, sizeof(clear));
    }
    explicit_bzero(clear, sizeof(clear));
    if (!ready) {
        return ERR_CRYPTO;
    }
    return authentic ? ERR_OK : ERR_CORRUPT;
}
