#include "backup_manifest.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_SIZE 65536

static char memory[TEXT_SIZE];

static struct span
t_written(uint32_t files)
{
    struct backup_manifest manifest = {.made_ns = 1795934242212779259, .documents = files % 2 == 0};
    struct buf out;
    uint8_t digest[STORE_DIGEST_SIZE];
    manifest.head = (struct store_head){.sequence = files, .segment = 1, .offset = 8192};
    for (uint32_t i = 0; i < files; i++) {
        char path[BACKUP_PATH_SIZE];
        (void)snprintf(path, sizeof(path), i % 3 == 0 ? "../../ledger/%08u.log" : "a%u/b.db", i);
        memset(digest, (int)i, sizeof(digest));
        assert_int_equal(backup_manifest_add(&manifest, path, digest), ERR_OK);
    }
    buf_init_fixed(&out, memory, sizeof(memory));
    backup_manifest_write(&manifest, &out);
    assert_false(buf_failed(&out));
    backup_manifest_release(&manifest);
    return buf_span(&out);
}

static err_t
t_read(struct span text, struct backup_manifest *manifest, uint32_t *ret_line)
{
    const char *reason = NULL;
    *manifest = (struct backup_manifest){0};
    err_t code = backup_manifest_read(text, manifest, ret_line, &reason);
    assert_true(code == ERR_OK || reason != NULL);
    return code;
}

static void
what_is_written_is_read(void **state)
{
    (void)state;
    for (uint32_t files = 0; files < 200; files += 7) {
        struct backup_manifest manifest;
        uint32_t line = 0;
        struct span text = t_written(files);
        assert_int_equal(t_read(text, &manifest, &line), ERR_OK);
        assert_int_equal(manifest.count, files);
        assert_int_equal(manifest.made_ns, 1795934242212779259);
        assert_int_equal(manifest.documents, files % 2 == 0);
        assert_int_equal(manifest.head.sequence, files);
        if (files > 1) {
            const struct backup_file *file = backup_manifest_find(&manifest, "a1/b.db");
            assert_non_null(file);
            assert_int_equal(file->digest[31], 1);
            assert_string_equal(manifest.files[0].path, "../../ledger/00000000.log");
        }
        assert_null(backup_manifest_find(&manifest, "a0/b.db"));
        backup_manifest_release(&manifest);
    }
}

/* A manifest that is cut off anywhere is none. */
static void
no_part_of_one_is_one(void **state)
{
    (void)state;
    struct span text = t_written(5);
    for (size_t size = 0; size < text.size; size++) {
        struct backup_manifest manifest;
        uint32_t line = 0;
        assert_int_equal(t_read(span_slice(text, 0, size), &manifest, &line), ERR_INVALID);
        backup_manifest_release(&manifest);
    }
}

static void
what_is_wrong_is_named_by_its_line(void **state)
{
    (void)state;
#define HEAD                                                                                       \
    "# tael backup 1\n# made 5\n# documents no\n# head 0:0/0:0:"                                   \
    "0000000000000000000000000000000000000000000000000000000000000000\n"
#define DIGEST "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    static const struct {
        const char *text;
        uint32_t line;
    } cases[] = {
        {"", 1},
        {"# tael backup 2\n", 1},
        {"# tael backup 1\n# made x\n", 2},
        {"# tael backup 1\n# made 5\n# documents perhaps\n", 3},
        {"# tael backup 1\n# made 5\n# documents no\n# head 1\n", 4},
        {HEAD DIGEST " tael.db\n# files 1\n", 5},
        {HEAD DIGEST "  ../tael.db\n# files 1\n", 5},
        {HEAD DIGEST "  /tael.db\n# files 1\n", 5},
        {HEAD DIGEST "  a/b/c\n# files 1\n", 5},
        {HEAD DIGEST "  ../../../a\n# files 1\n", 5},
        {HEAD DIGEST "  .hidden\n# files 1\n", 5},
        {HEAD DIGEST "  a/..\n# files 1\n", 5},
        {HEAD DIGEST "  \n# files 1\n", 5},
        {HEAD "x" DIGEST "  tael.db\n# files 1\n", 5},
        {HEAD DIGEST "  tael.db\n# files 2\n", 6},
        {HEAD DIGEST "  tael.db\n# files 1\n\n", 6},
        {HEAD DIGEST "  tael.db\n", 6},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct backup_manifest manifest;
        uint32_t line = 0;
        assert_int_equal(t_read(span_from_cstr(cases[i].text), &manifest, &line), ERR_INVALID);
        assert_int_equal(line, cases[i].line);
        backup_manifest_release(&manifest);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(no_part_of_one_is_one),
        cmocka_unit_test(what_is_wrong_is_named_by_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
