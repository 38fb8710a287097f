#include "journal_order_build.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
journal_order_path(
    const char *folder, enum store_order kind, uint64_t segment, char out[JOURNAL_ORDER_PATH_SIZE])
{
    int length = snprintf(
        out,
        JOURNAL_ORDER_PATH_SIZE,
        "%s/order/%s-%08" PRIu64 ".part",
        folder,
        store_order_name(kind),
        segment);
    ASSERT(length > 0 && length < JOURNAL_ORDER_PATH_SIZE);
}

/* --- the segment --- */

err_t
journal_order_identify(
    struct os_disk *disk,
    const char *folder,
    const char *archive,
    uint64_t segment,
    struct journal_order_header *ret_header)
{
    struct journal_segment_file found;
    TRY(journal_segment_open(disk, folder, archive, segment + 1, &found));
    struct os_file *file = found.file;
    _Alignas(16) char block[JOURNAL_BLOCK];
    struct journal_segment_header next = {0};
    const char *reason = NULL;
    err_t code = disk->ops->read(disk, file, block, sizeof(block), 0);
    disk->ops->close(disk, file);
    if (code == ERR_OK) {
        code = journal_segment_decode(block, &next, &reason);
    }
    if (code == ERR_OK && next.number != segment + 1) {
        code = ERR_CORRUPT;
    }
    if (code == ERR_OK) {
        *ret_header = (struct journal_order_header){
            .identity = next.identity,
            .chain = next.chain,
            .number = segment,
            .end = next.previous_end,
        };
    }
    return code;
}

/* --- its events --- */

static err_t
list_add(struct journal_order_list *list, uint64_t entry)
{
    if (list->count == list->capacity) {
        if (list->count >= JOURNAL_ORDER_ENTRIES_MAX) {
            return ERR_CORRUPT;
        }
        uint64_t capacity = list->capacity == 0 ? 4096 : list->capacity * 2;
        uint64_t *grown = realloc(list->entries, capacity * sizeof(*grown));
        if (grown == NULL) {
            return ERR_MEMORY;
        }
        list->entries = grown;
        list->capacity = capacity;
    }
    list->entries[list->count++] = entry;
    return ERR_OK;
}

/* Expiries are in no order: they are no transfers. What was adopted is not among the rising times,
 * so that it is only in the one that follows the accounts' chains. */
static err_t
event_add(struct journal_order_build *build, const char *data, uint64_t offset)
{
    struct journal_event event;
    memcpy(&event, data, sizeof(event));
    if (event.kind == LEDGER_EVENT_TWO_PHASE_EXPIRED) {
        return ERR_OK;
    }
    if ((build->wanted & 1u << STORE_ORDER_ACCOUNT) != 0) {
        struct journal_order_list *list = &build->lists[STORE_ORDER_ACCOUNT];
        TRY(list_add(list, journal_order_entry(event.debit_slot, offset)));
        TRY(list_add(list, journal_order_entry(event.credit_slot, offset)));
    }
    if (event.adopted != 0) {
        return ERR_OK;
    }
    for (uint32_t kind = STORE_ORDER_ACCOUNT + 1; kind < STORE_ORDER_COUNT; kind++) {
        if ((build->wanted & 1u << kind) == 0) {
            continue;
        }
        u128 value = journal_order_value((enum store_order)kind, &event.transfer);
        if (value != 0) {
            uint64_t entry = journal_order_entry(journal_order_key(value), offset);
            TRY(list_add(&build->lists[kind], entry));
        }
    }
    return ERR_OK;
}

static err_t
frame_add(
    struct journal_order_build *build, const struct journal_frame_header *header, uint64_t offset)
{
    const char *reason = NULL;
    uint64_t at = journal_frame_header_size(header);
    const uint64_t end = at + header->body_size;
    for (uint32_t i = 0; i < header->section_count; i++) {
        struct journal_section section = {0};
        TRY(journal_section_decode(build->frame + at, end - at, &section, &reason));
        const uint64_t events = (uint64_t)(section.events - build->frame);
        for (uint32_t k = 0; k < section.header.event_count; k++) {
            const uint64_t event = events + (uint64_t)k * section.event_size;
            TRY(event_add(build, build->frame + event, offset + event));
        }
        at += section.header.size;
    }
    return at == end ? ERR_OK : ERR_CORRUPT;
}

static err_t
frame_room(struct journal_order_build *build, uint64_t size)
{
    if (size <= build->frame_capacity) {
        return ERR_OK;
    }
    char *memory = aligned_alloc(JOURNAL_BLOCK, size);
    if (memory == NULL) {
        return ERR_MEMORY;
    }
    free(build->frame);
    build->frame = memory;
    build->frame_capacity = size;
    return ERR_OK;
}

/* The frame at `offset`, whole and with its checksum, into build->frame. */
static err_t
frame_read(
    struct journal_order_build *build,
    struct os_file *file,
    uint64_t offset,
    struct journal_frame_header *ret_header)
{
    const struct os_disk_ops *ops = build->disk->ops;
    const uint64_t left = build->header.end - offset;
    const char *reason = NULL;
    _Alignas(16) char head[JOURNAL_BLOCK];
    if (left < sizeof(head)) {
        return ERR_CORRUPT;
    }
    TRY(ops->read(build->disk, file, head, sizeof(head), offset));
    if (!journal_frame_peek(head, ret_header) || ret_header->size > left ||
        ret_header->identity != build->header.identity) {
        return ERR_CORRUPT;
    }
    TRY(frame_room(build, ret_header->size));
    memcpy(build->frame, head, sizeof(head));
    const uint64_t rest = ret_header->size - sizeof(head);
    if (rest > 0) {
        TRY(ops->read(build->disk, file, build->frame + sizeof(head), rest, offset + sizeof(head)));
    }
    return journal_frame_verify(build->frame, ret_header, &reason);
}

static err_t
frames_collect(struct journal_order_build *build, struct os_file *file)
{
    u128 chain = 0;
    bool any = false;
    for (uint64_t offset = JOURNAL_BLOCK; offset < build->header.end;) {
        struct journal_frame_header header = {0};
        TRY(frame_read(build, file, offset, &header));
        TRY(frame_add(build, &header, offset));
        chain = header.checksum;
        any = true;
        offset += header.size;
    }
    return !any || chain == build->header.chain ? ERR_OK : ERR_CORRUPT;
}

static err_t
lists_sort(struct journal_order_build *build)
{
    for (uint32_t kind = 0; kind < STORE_ORDER_COUNT; kind++) {
        struct journal_order_list *list = &build->lists[kind];
        if (list->count == 0) {
            continue;
        }
        uint64_t *spare = malloc(list->count * sizeof(*spare));
        if (spare == NULL) {
            return ERR_MEMORY;
        }
        journal_order_sort(list->entries, spare, list->count);
        free(spare);
    }
    return ERR_OK;
}

err_t
journal_order_collect(struct journal_order_build *build, uint64_t segment)
{
    for (uint32_t kind = 0; kind < STORE_ORDER_COUNT; kind++) {
        build->lists[kind].count = 0;
    }
    TRY(journal_order_identify(
        build->disk, build->folder, build->archive, segment, &build->header));
    struct journal_segment_file found;
    TRY(journal_segment_open(build->disk, build->folder, build->archive, segment, &found));
    err_t code = frames_collect(build, found.file);
    build->disk->ops->close(build->disk, found.file);
    return code == ERR_OK ? lists_sort(build) : code;
}

char *
journal_order_file(
    const struct journal_order_build *build, enum store_order kind, uint64_t *ret_size)
{
    struct journal_order_header header = build->header;
    header.kind = kind;
    header.count = build->lists[kind].count;
    *ret_size = journal_order_file_size(header.count);
    return journal_order_encode(&header, build->lists[kind].entries);
}

void
journal_order_build_release(struct journal_order_build *build)
{
    for (uint32_t kind = 0; kind < STORE_ORDER_COUNT; kind++) {
        free(build->lists[kind].entries);
        build->lists[kind] = (struct journal_order_list){0};
    }
    free(build->frame);
    build->frame = NULL;
    build->frame_capacity = 0;
}
