#include "store/head.h"

#include "journal_lock.h"
#include "journal_tail.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static_assert(STORE_DIGEST_SIZE == JOURNAL_DIGEST_SIZE, "the journal's digest");

void
store_head_format(const struct store_head *head, char out[STORE_HEAD_TEXT_SIZE])
{
    int length = snprintf(
        out,
        STORE_HEAD_TEXT_SIZE,
        "%" PRIu64 ":%" PRIu64 "/%" PRIu64 ":%" PRIu64 ":",
        head->sequence,
        head->segment,
        head->offset,
        head->timestamp);
    ASSERT(length > 0);
    ASSERT((size_t)length + 2 * sizeof(head->digest) < STORE_HEAD_TEXT_SIZE);
    for (size_t i = 0; i < sizeof(head->digest); i++) {
        (void)snprintf(out + length + 2 * i, 3, "%02x", head->digest[i]);
    }
}

/* The number before the next `end`, which is taken away too. */
static bool
take_number(struct span *text, char end, uint64_t *ret_number)
{
    size_t at = span_find(*text, end, 0);
    if (at == text->size || !span_parse_u64(span_slice(*text, 0, at), ret_number)) {
        return false;
    }
    *text = span_slice(*text, at + 1, text->size);
    return true;
}

static bool
hex_digit(char digit, uint8_t *ret_value)
{
    if (digit >= '0' && digit <= '9') {
        *ret_value = (uint8_t)(digit - '0');
    } else if (digit >= 'a' && digit <= 'f') {
        *ret_value = (uint8_t)(digit - 'a' + 10);
    } else {
        return false;
    }
    return true;
}

static bool
parse_digest(struct span text, uint8_t ret_digest[STORE_DIGEST_SIZE])
{
    if (text.size != 2 * (size_t)STORE_DIGEST_SIZE) {
        return false;
    }
    for (size_t i = 0; i < STORE_DIGEST_SIZE; i++) {
        uint8_t high = 0;
        uint8_t low = 0;
        if (!hex_digit(text.data[2 * i], &high) || !hex_digit(text.data[2 * i + 1], &low)) {
            return false;
        }
        ret_digest[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

err_t
store_head_parse(struct span text, struct store_head *ret_head, const char **ret_reason)
{
    struct store_head head;
    memset(&head, 0, sizeof(head));
    *ret_reason = "the sequence, a number before the first ':', is wrong";
    if (!take_number(&text, ':', &head.sequence)) {
        return ERR_INVALID;
    }
    *ret_reason = "the position, SEGMENT/OFFSET behind the first ':', is wrong";
    if (!take_number(&text, '/', &head.segment) || !take_number(&text, ':', &head.offset)) {
        return ERR_INVALID;
    }
    *ret_reason = "the timestamp, a number behind the second ':', is wrong";
    if (!take_number(&text, ':', &head.timestamp)) {
        return ERR_INVALID;
    }
    *ret_reason = "the digest, behind the last ':', is not 64 hexadecimal digits";
    if (!parse_digest(text, head.digest)) {
        return ERR_INVALID;
    }
    *ret_head = head;
    return ERR_OK;
}

err_t
store_head_read(
    const char *url, struct os_disk *disk, struct store_head *ret_head, struct store_error *error)
{
    *error = (struct store_error){0};
    const char *folder = journal_folder_of(url, error);
    if (folder == NULL) {
        return error->code;
    }
    struct os_file *lock = NULL;
    struct journal_tail tail = {.disk = disk, .folder = folder, .error = error};
    err_t code = journal_lock_existing(disk, folder, &lock, error);
    if (code == ERR_OK) {
        code = journal_tail_begin(&tail);
    }
    if (code == ERR_OK) {
        code = journal_tail_advance(&tail);
    }
    if (code == ERR_OK) {
        *ret_head = tail.head;
    }
    journal_tail_release(&tail);
    if (lock != NULL) {
        disk->ops->close(disk, lock);
    }
    return code;
}
