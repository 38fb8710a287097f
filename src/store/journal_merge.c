#include "journal_merge.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

/* --- groups --- */

struct journal_group *
journal_group_create(uint32_t level, uint32_t bits)
{
    ASSERT(bits <= JOURNAL_RUN_BITS_MAX);
    ASSERT(level < JOURNAL_RUN_LEVELS);
    size_t runs = sizeof(struct journal_run *) << bits;
    struct journal_group *group = calloc(1, sizeof(*group) + runs);
    if (group != NULL) {
        group->references = 1;
        group->level = level;
        group->bits = bits;
    }
    return group;
}

void
journal_group_unref(struct journal_group *group, const char *folder)
{
    ASSERT(group->references > 0);
    if (--group->references > 0) {
        return;
    }
    journal_filter_give_back(&group->filter);
    for (uint32_t i = 0; i < 1u << group->bits; i++) {
        struct journal_run *run = group->runs[i];
        if (run == NULL) {
            continue;
        }
        struct os_disk *disk = run->disk;
        char path[JOURNAL_RUN_PATH_SIZE];
        journal_run_path(folder, run->header.number, path);
        journal_run_close(&run);
        if (group->replaced) {
            /* What cannot be removed is removed at the next start. */
            (void)disk->ops->remove(disk, path);
        }
    }
    free(group);
}

err_t
journal_group_place_filter(struct journal_group *group, struct journal_filter_bank *bank)
{
    const uint64_t words = group->runs[0]->header.filter_words;
    const uint32_t runs = UINT32_C(1) << group->bits;
    for (uint32_t i = 0; i < runs; i++) {
        if (group->runs[i]->header.filter_words != words) {
            return ERR_CORRUPT;
        }
    }
    uint32_t lanes = group->level == 0 ? JOURNAL_FILTER_LANES_YOUNG : JOURNAL_FILTER_LANES_OLD;
    TRY(journal_filter_take(&group->filter, bank, lanes, words << group->bits));
    for (uint32_t i = 0; i < runs; i++) {
        journal_filter_write(&group->filter, i * words, group->runs[i]->filter, words);
        journal_run_drop_filter(group->runs[i]);
    }
    return ERR_OK;
}

/* --- inputs --- */

/* Fills the buffer with what follows; leaves it empty at the end of the group. */
static err_t
input_fill(struct journal_merge_input *input)
{
    input->at = 0;
    input->filled = 0;
    while (input->piece < 1u << input->group->bits) {
        const struct journal_run *run = input->group->runs[input->piece];
        uint64_t blocks = journal_run_block_count(run->header.count);
        if (input->block < blocks) {
            uint64_t part = blocks - input->block;
            part = part < JOURNAL_MERGE_BLOCKS ? part : JOURNAL_MERGE_BLOCKS;
            TRY(journal_run_read_blocks(run, input->block, part, input->buffer));
            uint64_t first = input->block * JOURNAL_BLOCK_ENTRIES;
            uint64_t left = run->header.count - first;
            uint64_t most = part * JOURNAL_BLOCK_ENTRIES;
            input->filled = (uint32_t)(left < most ? left : most);
            input->block += part;
            return ERR_OK;
        }
        input->piece++;
        input->block = 0;
    }
    return ERR_OK;
}

static bool
is_before(const struct journal_index_entry *left, const struct journal_index_entry *right)
{
    return left->hash < right->hash ||
           (left->hash == right->hash && left->reference < right->reference);
}

/* The input with the smallest entry, or NULL at the end of all. */
static struct journal_merge_input *
input_least(struct journal_merge *merge)
{
    struct journal_merge_input *least = NULL;
    for (uint32_t i = 0; i < merge->input_count; i++) {
        struct journal_merge_input *input = &merge->inputs[i];
        if (input->filled != 0 &&
            (least == NULL || is_before(&input->buffer[input->at], &least->buffer[least->at]))) {
            least = input;
        }
    }
    return least;
}

/* --- merging --- */

uint32_t
journal_merge_bits(uint64_t count, uint64_t run_max)
{
    uint32_t bits = 0;
    while (count >> bits > run_max) {
        bits++;
    }
    return bits;
}

err_t
journal_merge_begin(
    struct journal_merge *merge,
    struct journal_group *const groups[JOURNAL_MERGE_FAN],
    uint64_t run_max)
{
    ASSERT(merge->input_count == 0);
    uint64_t count = 0;
    uint32_t bits = 0;
    for (uint32_t i = 0; i < JOURNAL_MERGE_FAN; i++) {
        count += groups[i]->count;
        bits = groups[i]->bits > bits ? groups[i]->bits : bits;
    }
    uint32_t wanted = journal_merge_bits(count, run_max);
    bits = wanted > bits ? wanted : bits;
    merge->output = journal_group_create(groups[0]->level + 1, bits);
    if (merge->output == NULL) {
        return ERR_MEMORY;
    }
    merge->piece = 0;
    merge->expected = count >> bits;
    merge->held = (struct journal_index_entry){0};
    merge->damaged = false;
    for (uint32_t i = 0; i < JOURNAL_MERGE_FAN; i++) {
        struct journal_merge_input *input = &merge->inputs[i];
        *input = (struct journal_merge_input){.group = groups[i]};
        merge->input_count++;
        input->buffer = malloc((size_t)JOURNAL_MERGE_BLOCKS * JOURNAL_RUN_BLOCK);
        err_t code = input->buffer == NULL ? ERR_MEMORY : input_fill(input);
        if (code != ERR_OK) {
            merge->damaged = code != ERR_MEMORY;
            return code;
        }
    }
    return ERR_OK;
}

/* The writer writes the piece that the output is at. */
static err_t
writer_ready(struct journal_merge *merge)
{
    if (merge->writer.file != NULL) {
        return ERR_OK;
    }
    struct journal_run_header header = {
        .identity = merge->identity,
        .number = (*merge->next_number)++,
        .level = merge->output->level,
        .bits = merge->output->bits,
        .piece = merge->piece,
    };
    return journal_run_writer_begin(
        &merge->writer, merge->disk, merge->folder, &header, merge->expected);
}

static err_t
piece_finish(struct journal_merge *merge)
{
    TRY(writer_ready(merge)); /* a piece may have no entry */
    struct journal_run *run = NULL;
    TRY(journal_run_writer_finish(&merge->writer, &run));
    merge->output->runs[merge->piece++] = run;
    merge->output->count += run->header.count;
    return ERR_OK;
}

/* Writes the held entry into its piece; those before it are complete then. */
static err_t
held_write(struct journal_merge *merge)
{
    if (merge->held.reference == 0) {
        return ERR_OK;
    }
    while (merge->piece < journal_run_piece(merge->held.hash, merge->output->bits)) {
        TRY(piece_finish(merge));
    }
    TRY(writer_ready(merge));
    return journal_run_writer_add(&merge->writer, merge->held);
}

/* Takes the entry in; of one position only the newest is written (MERGE-1). */
static err_t
take(struct journal_merge *merge, struct journal_index_entry entry)
{
    bool same = entry.hash == merge->held.hash &&
                journal_index_entry_position(&entry) == journal_index_entry_position(&merge->held);
    if (!same) {
        TRY(held_write(merge));
    }
    merge->held = entry;
    return ERR_OK;
}

static void
inputs_free(struct journal_merge *merge)
{
    for (uint32_t i = 0; i < merge->input_count; i++) {
        free(merge->inputs[i].buffer);
        merge->inputs[i] = (struct journal_merge_input){0};
    }
    merge->input_count = 0;
}

static err_t
merge_complete(struct journal_merge *merge, struct journal_group **ret_group)
{
    TRY(held_write(merge));
    while (merge->piece < 1u << merge->output->bits) {
        TRY(piece_finish(merge));
    }
    inputs_free(merge);
    *ret_group = merge->output;
    merge->output = NULL;
    return ERR_OK;
}

err_t
journal_merge_step(struct journal_merge *merge, uint64_t entries, struct journal_group **ret_group)
{
    ASSERT(merge->input_count == JOURNAL_MERGE_FAN);
    *ret_group = NULL;
    for (uint64_t done = 0; done < entries; done++) {
        struct journal_merge_input *least = input_least(merge);
        if (least == NULL) {
            return merge_complete(merge, ret_group);
        }
        TRY(take(merge, least->buffer[least->at]));
        if (++least->at == least->filled) {
            err_t code = input_fill(least);
            if (code != ERR_OK) {
                merge->damaged = true;
                return code;
            }
        }
    }
    return ERR_OK;
}

void
journal_merge_abandon(struct journal_merge *merge)
{
    inputs_free(merge);
    journal_run_writer_abandon(&merge->writer);
    if (merge->output != NULL) {
        merge->output->replaced = true;
        journal_group_unref(merge->output, merge->folder);
        merge->output = NULL;
    }
}
