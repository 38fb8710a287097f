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

/* -------------------------------------------------------------------------------------- the key */

/* Hands out what was read, or says what is wrong. */
static err_t
key_take(
    err_t result,
    const char *path,
    struct callback_key **key,
    struct callback_key **ret_key,
    char message[CALLBACK_MESSAGE_SIZE])
{
    if (result != ERR_OK) {
        struct buf text;
        buf_init_fixed(&text, message, CALLBACK_MESSAGE_SIZE - 1);
        buf_append_format(
            &text, "the key of the webhooks' secrets, %s: %s", path, err_text(result));
        message[text.size] = '\0';
        callback_key_close(key);
        return result;
    }
    *ret_key = *key;
    return ERR_OK;
}

err_t
callback_key_load(
    struct os_disk *disk,
    const char *path,
    struct callback_key **ret_key,
    char message[CALLBACK_MESSAGE_SIZE])
{
    bool locked;
    struct callback_key *key = os_secret_alloc(sizeof(*key), &locked);
    if (key == NULL) {
        return ERR_MEMORY;
    }
    return key_take(
        os_key_file_load(disk, path, key->bytes, sizeof(key->bytes)), path, &key, ret_key, message);
}

err_t
callback_key_open(
    struct os_disk *disk,
    struct os_entropy *entropy,
    const char *folder,
    bool must_exist,
    struct callback_key **ret_key,
    char message[CALLBACK_MESSAGE_SIZE])
{
    char path[PATH_SIZE];
    struct buf name;
    bool locked;
    buf_init_fixed(&name, path, sizeof(path));
    buf_append_format(&name, "%s/" KEY_FILE, folder);
    buf_append_byte(&name, '\0');
    if (buf_failed(&name)) {
        return ERR_RANGE;
    }
    struct callback_key *key = os_secret_alloc(sizeof(*key), &locked);
    if (key == NULL) {
        return ERR_MEMORY;
    }
    err_t result = disk->ops->make_folder(disk, folder);
    if (result == ERR_OK) {
        result = os_key_file_load(disk, path, key->bytes, sizeof(key->bytes));
    }
    if (result == ERR_NOT_FOUND && !must_exist) {
        result = os_key_file_make(disk, entropy, folder, KEY_FILE, sizeof(key->bytes));
        if (result == ERR_OK) {
            result = os_key_file_load(disk, path, key->bytes, sizeof(key->bytes));
        }
    }
    return key_take(result, path, &key, ret_key, message);
}

void
callback_key_close(struct callback_key **key)
{
    os_secret_free(*key, sizeof(**key));
    *key = NULL;
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
