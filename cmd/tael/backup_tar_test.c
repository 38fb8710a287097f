#include "backup_tar.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void
entries_come_back(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {
        0, 1, 511, 512, 513, 067777777777, 077777777777, 0100000000000, BACKUP_TAR_SIZE_MAX - 1};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct backup_tar_entry entry = {.kind = BACKUP_TAR_FILE, .size = sizes[i]};
        struct backup_tar_entry again;
        const char *reason = NULL;
        char block[BACKUP_TAR_BLOCK];
        memset(entry.path, 'p', i == 0 ? 99 : 5);
        backup_tar_encode(&entry, 1795934242, block);
        assert_int_equal(backup_tar_decode(block, &again, &reason), ERR_OK);
        assert_int_equal(again.kind, BACKUP_TAR_FILE);
        assert_int_equal(again.size, sizes[i]);
        assert_string_equal(again.path, entry.path);
        assert_int_equal((sizes[i] + backup_tar_padding(sizes[i])) % BACKUP_TAR_BLOCK, 0);
    }
}

/* Every single bit: the checksum is a sum, which finds any one. */
static void
damage_is_found(void **state)
{
    (void)state;
    struct backup_tar_entry entry = {.path = "ledger/00000001.log", .size = 67108864};
    struct backup_tar_entry again;
    const char *reason = NULL;
    char block[BACKUP_TAR_BLOCK];
    backup_tar_encode(&entry, 5, block);
    for (size_t bit = 0; bit < (size_t)BACKUP_TAR_BLOCK * 8; bit++) {
        block[bit / 8] = (char)(block[bit / 8] ^ (1 << bit % 8));
        if (backup_tar_decode(block, &again, &reason) == ERR_OK) {
            /* Only in what ends the checksum's digits, which its sum leaves out. */
            assert_in_range(bit / 8, 148, 155);
            assert_string_equal(again.path, entry.path);
            assert_int_equal(again.size, entry.size);
        }
        block[bit / 8] = (char)(block[bit / 8] ^ (1 << bit % 8));
    }
}

static void
t_seal(char block[BACKUP_TAR_BLOCK])
{
    unsigned sum = 0;
    memset(block + 148, ' ', 8);
    for (size_t i = 0; i < BACKUP_TAR_BLOCK; i++) {
        sum += (unsigned char)block[i];
    }
    (void)snprintf(block + 148, 8, "%06o", sum & 0777777U);
}

static void
other_things_are_refused(void **state)
{
    (void)state;
    struct backup_tar_entry entry = {.path = "a", .size = 5};
    struct backup_tar_entry again;
    const char *reason = NULL;
    char block[BACKUP_TAR_BLOCK];

    static const struct {
        size_t at;
        char byte;
    } cases[] = {
        {156, '1'},        /* a hard link */
        {156, '2'},        /* a symbolic link */
        {156, 'x'},        /* extended attributes */
        {345, 'p'},        /* a long path */
        {124, '9'},        /* no octal digit */
        {124, (char)0x81}, /* 2^88 */
        {257, 'v'},        /* another format */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        backup_tar_encode(&entry, 5, block);
        block[cases[i].at] = cases[i].byte;
        t_seal(block);
        reason = NULL;
        assert_int_equal(backup_tar_decode(block, &again, &reason), ERR_INVALID);
        assert_non_null(reason);
    }
    backup_tar_encode(&entry, 5, block);
    block[156] = '5'; /* a folder has no content */
    t_seal(block);
    assert_int_equal(backup_tar_decode(block, &again, &reason), ERR_INVALID);
    entry.size = 0;
    backup_tar_encode(&entry, 5, block);
    block[156] = '5';
    t_seal(block);
    assert_int_equal(backup_tar_decode(block, &again, &reason), ERR_OK);
    assert_int_equal(again.kind, BACKUP_TAR_FOLDER);
    memset(block, 0, sizeof(block));
    assert_int_equal(backup_tar_decode(block, &again, &reason), ERR_OK);
    assert_int_equal(again.kind, BACKUP_TAR_END);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_back),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(other_things_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
