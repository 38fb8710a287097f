/* The start of the id index: what of its folder can be used. */
#include "journal_runs.h"

#include "base/assert.h"
#include "os/entropy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANIFEST_SIZE_MAX                                                                          \
    (sizeof(struct journal_manifest_header) +                                                      \
     (size_t)JOURNAL_MANIFEST_RUNS * sizeof(struct journal_manifest_run))

/* --- is it this journal's? --- */

/* The frame that the manifest covers last is there, whole, and the one that it names: then the
 * journal reaches so far, and what comes before it is what the runs were made of (JOURNAL-3). */
static err_t
frame_is_there(
    const struct journal_runs *runs,
    struct os_file *file,
    const struct journal_manifest_header *manifest)
{
    struct journal_frame_header header;
    _Alignas(16) char block[JOURNAL_BLOCK];
    uint64_t offset = journal_position_offset(manifest->frame);
    TRY(runs->disk->ops->read(runs->disk, file, block, sizeof(block), offset));
    if (!journal_frame_peek(block, &header) || header.identity != manifest->identity ||
        header.checksum != manifest->chain || manifest->frame + header.size != manifest->covered) {
        return ERR_CORRUPT;
    }
    char *frame = aligned_alloc(JOURNAL_BLOCK, header.size);
    if (frame == NULL) {
        return ERR_MEMORY;
    }
    const char *reason = NULL;
    err_t code = runs->disk->ops->read(runs->disk, file, frame, header.size, offset);
    if (code == ERR_OK) {
        code = journal_frame_verify(frame, &header, &reason);
    }
    free(frame);
    return code;
}

static err_t
journal_is_covered(
    const struct journal_runs *runs,
    const char *journal_folder,
    const struct journal_manifest_header *manifest)
{
    char path[JOURNAL_PATH_SIZE];
    struct os_file *file = NULL;
    if (!journal_segment_path(journal_folder, journal_position_segment(manifest->frame), path)) {
        return ERR_RANGE;
    }
    TRY(runs->disk->ops->open(runs->disk, path, OS_OPEN_READ, false, &file, NULL));
    err_t code = frame_is_there(runs, file, manifest);
    runs->disk->ops->close(runs->disk, file);
    return code;
}

/* --- the runs that it names --- */

static bool
run_is_named(
    const struct journal_run_header *header,
    const struct journal_manifest_header *manifest,
    const struct journal_manifest_run *run)
{
    return header->checksum == run->checksum && header->identity == manifest->identity &&
           header->count == run->count && header->level == run->level &&
           header->bits == run->bits && header->piece == run->piece;
}

static err_t
group_open(
    struct journal_runs *runs,
    const struct journal_manifest_header *manifest,
    const struct journal_manifest_run *named,
    struct journal_group *group)
{
    for (uint32_t piece = 0; piece < 1u << group->bits; piece++) {
        TRY(journal_run_open(runs->disk, runs->folder, named[piece].number, &group->runs[piece]));
        const struct journal_run_header *header = &group->runs[piece]->header;
        if (!run_is_named(header, manifest, &named[piece])) {
            return ERR_CORRUPT;
        }
        group->count += header->count;
    }
    return journal_group_place_filter(group, journal_runs_bank(runs, group->level));
}

static err_t
groups_open(
    struct journal_runs *runs,
    const struct journal_manifest_header *manifest,
    const struct journal_manifest_run *named)
{
    for (uint32_t i = 0; i < manifest->group_count; i++) {
        struct journal_group *group = journal_group_create(named->level, named->bits);
        if (group == NULL) {
            return ERR_MEMORY;
        }
        runs->groups[runs->group_count++] = group;
        TRY(group_open(runs, manifest, named, group));
        named += 1u << group->bits;
    }
    return ERR_OK;
}

static void
groups_close(struct journal_runs *runs)
{
    for (uint32_t i = 0; i < runs->group_count; i++) {
        journal_group_unref(runs->groups[i], runs->folder);
    }
    runs->group_count = 0;
}

static err_t
manifest_open(
    struct journal_runs *runs, const char *journal_folder, const char *content, size_t size)
{
    struct journal_manifest_header header;
    const struct journal_manifest_run *named = NULL;
    const char *reason = NULL;
    TRY(journal_manifest_decode(content, size, &header, &named, &reason));
    TRY(journal_is_covered(runs, journal_folder, &header));
    err_t code = groups_open(runs, &header, named);
    if (code != ERR_OK) {
        groups_close(runs);
        return code;
    }
    runs->key = header.key;
    runs->identity = header.identity;
    runs->chain = header.chain;
    runs->frame = header.frame;
    runs->covered = header.covered;
    runs->next_number = header.next_number;
    return ERR_OK;
}

/* --- what nobody names --- */

struct leftovers {
    uint64_t *numbers;
    uint64_t count;
    uint64_t capacity;
    bool without_memory;
};

static void
note_number(struct leftovers *leftovers, uint64_t number)
{
    if (leftovers->count == leftovers->capacity) {
        uint64_t capacity = leftovers->capacity == 0 ? 64 : leftovers->capacity * 2;
        uint64_t *grown = realloc(leftovers->numbers, capacity * sizeof(*grown));
        if (grown == NULL) {
            leftovers->without_memory = true;
            return;
        }
        leftovers->numbers = grown;
        leftovers->capacity = capacity;
    }
    leftovers->numbers[leftovers->count++] = number;
}

static void
note_name(void *context, const char *name)
{
    struct span text = span_from_cstr(name);
    uint64_t number = 0;
    if (text.size > 4 && span_ends_with(text, SPAN(".run")) &&
        span_parse_u64(span_slice(text, 0, text.size - 4), &number)) {
        note_number(context, number);
    }
}

static bool
is_in_use(const struct journal_runs *runs, uint64_t number)
{
    for (uint32_t i = 0; i < runs->group_count; i++) {
        const struct journal_group *group = runs->groups[i];
        for (uint32_t piece = 0; piece < 1u << group->bits; piece++) {
            if (group->runs[piece]->header.number == number) {
                return true;
            }
        }
    }
    return false;
}

/* Removes the runs that a crash left behind; numbers go on behind all of them. */
static err_t
leftovers_remove(struct journal_runs *runs)
{
    struct leftovers leftovers = {0};
    err_t code = runs->disk->ops->list(runs->disk, runs->folder, note_name, &leftovers);
    if (leftovers.without_memory) {
        code = ERR_MEMORY;
    }
    for (uint64_t i = 0; i < leftovers.count && code == ERR_OK; i++) {
        uint64_t number = leftovers.numbers[i];
        if (is_in_use(runs, number)) {
            continue;
        }
        char path[JOURNAL_RUN_PATH_SIZE];
        journal_run_path(runs->folder, number, path);
        /* What cannot be removed only takes space. */
        (void)runs->disk->ops->remove(runs->disk, path);
        if (number >= runs->next_number) {
            runs->next_number = number + 1;
        }
    }
    free(leftovers.numbers);
    return code;
}

err_t
journal_runs_open(struct journal_runs *runs, const char *journal_folder)
{
    ASSERT(runs->group_count == 0);
    TRY(runs->disk->ops->make_folder(runs->disk, runs->folder));
    char path[JOURNAL_RUN_PATH_SIZE];
    int length = snprintf(path, sizeof(path), "%s/%s", runs->folder, JOURNAL_MANIFEST_NAME);
    ASSERT(length > 0 && (size_t)length < sizeof(path));
    char *content = NULL;
    size_t size = 0;
    err_t code = os_file_load(runs->disk, path, MANIFEST_SIZE_MAX, &content, &size);
    if (code == ERR_OK) {
        code = manifest_open(runs, journal_folder, content, size);
        free(content);
    }
    if (code == ERR_MEMORY) {
        return code;
    }
    if (code != ERR_OK) {
        /* INDEX-3. */
        os_entropy_real()->fill(os_entropy_real(), &runs->key, sizeof(runs->key));
        TRY(runs->disk->ops->sync_folder(runs->disk, journal_folder));
    }
    TRY(leftovers_remove(runs));
    return journal_runs_publish(runs);
}
