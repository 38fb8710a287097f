#include "backup_tar.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ustar, with the checksum over all of it as if its own bytes were spaces. */
struct header {
    char name[100];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char link[100];
    char magic[6];
    char version[2];
    char user[32];
    char group[32];
    char device_major[8];
    char device_minor[8];
    char prefix[155];
    char rest[12];
};

static_assert(sizeof(struct header) == BACKUP_TAR_BLOCK, "a header is a block");

#define SIZE_OCTAL_MAX UINT64_C(077777777777)

static uint32_t
checksum(const struct header *header)
{
    struct header copy = *header;
    uint32_t sum = 0;
    memset(copy.checksum, ' ', sizeof(copy.checksum));
    const unsigned char *bytes = (const unsigned char *)&copy;
    for (size_t i = 0; i < sizeof(copy); i++) {
        sum += bytes[i];
    }
    return sum;
}

static void
size_encode(uint64_t size, char out[12])
{
    if (size <= SIZE_OCTAL_MAX) {
        (void)snprintf(out, 12, "%011" PRIo64, size);
        return;
    }
    memset(out, 0, 12);
    out[0] = (char)0x80;
    for (int i = 0; i < 8; i++) {
        out[11 - i] = (char)(size >> (8 * i) & 0xff);
    }
}

void
backup_tar_encode(const struct backup_tar_entry *entry, uint64_t time_s, char out[BACKUP_TAR_BLOCK])
{
    struct header header;
    memset(&header, 0, sizeof(header));
    ASSERT(entry->kind == BACKUP_TAR_FILE);
    ASSERT(entry->size < BACKUP_TAR_SIZE_MAX);
    memcpy(header.name, entry->path, strnlen(entry->path, sizeof(header.name) - 1));
    memcpy(header.mode, "0000600", 8);
    memcpy(header.uid, "0000000", 8);
    memcpy(header.gid, "0000000", 8);
    size_encode(entry->size, header.size);
    (void)snprintf(header.mtime, sizeof(header.mtime), "%011" PRIo64, time_s & SIZE_OCTAL_MAX);
    header.type = '0';
    memcpy(header.magic, "ustar", 6);
    memcpy(header.version, "00", 2);
    /* Six digits, a zero byte and a space, as everybody writes it. */
    (void)snprintf(
        header.checksum, sizeof(header.checksum), "%06" PRIo32, checksum(&header) & 0777777u);
    header.checksum[7] = ' ';
    memcpy(out, &header, sizeof(header));
}

/* Octal digits with spaces before and a space or zero behind; or eight bytes in binary. */
static bool
number_decode(const char *field, size_t size, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t at = 0;
    if (((unsigned char)field[0] & 0x80) != 0) {
        for (at = 1; at < size - 8; at++) {
            if (field[at] != 0) {
                return false;
            }
        }
        for (; at < size; at++) {
            value = value << 8 | (unsigned char)field[at];
        }
        *ret_value = value;
        return (unsigned char)field[0] == 0x80;
    }
    while (at < size && field[at] == ' ') {
        at++;
    }
    size_t first = at;
    for (; at < size && field[at] >= '0' && field[at] <= '7'; at++) {
        value = value << 3 | (uint64_t)(field[at] - '0');
    }
    bool ends = at == size || field[at] == ' ' || field[at] == '\0';
    *ret_value = value;
    return at > first && ends;
}

static bool
is_zero(const char *bytes, size_t size)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

err_t
backup_tar_decode(
    const char block[BACKUP_TAR_BLOCK], struct backup_tar_entry *ret_entry, const char **ret_reason)
{
    struct header header;
    struct backup_tar_entry entry = {.kind = BACKUP_TAR_END};
    memcpy(&header, block, sizeof(header));
    if (is_zero(block, BACKUP_TAR_BLOCK)) {
        *ret_entry = entry;
        return ERR_OK;
    }
    uint64_t sum = 0;
    *ret_reason = "no tar header, or a damaged one";
    if (!number_decode(header.checksum, sizeof(header.checksum), &sum) ||
        sum != checksum(&header) || memcmp(header.magic, "ustar", 5) != 0) {
        return ERR_INVALID;
    }
    *ret_reason = "something that is no file, and in no backup";
    bool is_file = header.type == '0' || header.type == '\0';
    if (!is_file && header.type != '5') {
        return ERR_INVALID;
    }
    *ret_reason = "a path that is too long for a backup's";
    if (header.name[sizeof(header.name) - 1] != '\0' || header.prefix[0] != '\0') {
        return ERR_INVALID;
    }
    *ret_reason = "an impossible size";
    if (!number_decode(header.size, sizeof(header.size), &entry.size) ||
        entry.size >= BACKUP_TAR_SIZE_MAX || (!is_file && entry.size != 0)) {
        return ERR_INVALID;
    }
    entry.kind = is_file ? BACKUP_TAR_FILE : BACKUP_TAR_FOLDER;
    memcpy(entry.path, header.name, sizeof(entry.path));
    *ret_entry = entry;
    return ERR_OK;
}
