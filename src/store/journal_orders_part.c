/* Parts, asked: opened when they are first asked for, a block at a time. */
#include "journal_orders.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

static void
part_free(struct journal_order_slot *slot)
{
    if (slot->part != NULL) {
        free(slot->part->fences);
        free(slot->part);
        slot->part = NULL;
    }
}

static void
file_close(struct journal_orders *orders, struct journal_order_open_file *open)
{
    if (open->file != NULL) {
        orders->disk->ops->close(orders->disk, open->file);
        open->file = NULL;
    }
}

void
journal_orders_parts_release(struct journal_orders *orders)
{
    for (uint32_t i = 0; i < JOURNAL_ORDERS_FILES; i++) {
        file_close(orders, &orders->files[i]);
    }
    for (uint32_t kind = 0; kind < STORE_ORDER_COUNT; kind++) {
        for (uint64_t i = 0; orders->slots[kind] != NULL && i < orders->slot_count; i++) {
            part_free(&orders->slots[kind][i]);
        }
        free(orders->slots[kind]);
        orders->slots[kind] = NULL;
    }
    orders->slot_count = 0;
}

static err_t
file_get(
    struct journal_orders *orders,
    enum store_order kind,
    uint64_t segment,
    struct os_file **ret_file)
{
    struct journal_order_open_file *open =
        &orders->files[(segment * STORE_ORDER_COUNT + kind) % JOURNAL_ORDERS_FILES];
    if (open->file != NULL && open->kind == kind && open->segment == segment) {
        *ret_file = open->file;
        return ERR_OK;
    }
    file_close(orders, open);
    char path[JOURNAL_ORDER_PATH_SIZE];
    journal_order_path(orders->folder, kind, segment, path);
    TRY(orders->disk->ops->open(orders->disk, path, OS_OPEN_READ, false, &open->file, NULL));
    open->kind = kind;
    open->segment = segment;
    *ret_file = open->file;
    return ERR_OK;
}

static err_t
header_read(
    struct journal_orders *orders,
    struct os_file *file,
    enum store_order kind,
    uint64_t segment,
    struct journal_order_header *ret_header)
{
    _Alignas(16) char block[JOURNAL_ORDER_BLOCK];
    struct journal_order_header own = {0};
    const char *reason = NULL;
    uint64_t size = 0;
    TRY(orders->disk->ops->size(orders->disk, file, &size));
    TRY(orders->disk->ops->read(orders->disk, file, block, sizeof(block), 0));
    TRY(journal_order_header_decode(block, ret_header, &reason));
    if (ret_header->kind != kind || ret_header->number != segment ||
        ret_header->file_size != size) {
        return ERR_CORRUPT;
    }
    err_t code = journal_order_identify(orders->disk, orders->folder, NULL, segment, &own);
    if (code == ERR_NOT_FOUND) {
        return ERR_OK; /* the next segment is in an archive: there is nothing to compare with */
    }
    if (code == ERR_OK && (own.identity != ret_header->identity || own.chain != ret_header->chain ||
                           own.end != ret_header->end)) {
        return ERR_CORRUPT;
    }
    return code;
}

static err_t
part_open(
    struct journal_orders *orders,
    enum store_order kind,
    uint64_t segment,
    struct journal_order_part *part)
{
    struct os_file *file = NULL;
    struct journal_order_header *header = &part->header;
    TRY(file_get(orders, kind, segment, &file));
    TRY(header_read(orders, file, kind, segment, header));
    const uint64_t size =
        journal_order_block_count(header->count) * sizeof(struct journal_order_fence);
    if (size == 0) {
        return ERR_OK;
    }
    part->fences = malloc(size);
    if (part->fences == NULL) {
        return ERR_MEMORY;
    }
    TRY(orders->disk->ops->read(
        orders->disk, file, part->fences, size, journal_order_fences_offset(header->count)));
    return journal_order_fences_are_sound(header, part->fences) ? ERR_OK : ERR_CORRUPT;
}

/* ORDER-5: until the next start the segment is read without it. */
static void
part_set_aside(struct journal_orders *orders, enum store_order kind, uint64_t segment)
{
    struct journal_order_slot *slot = &orders->slots[kind][segment];
    struct journal_order_open_file *open =
        &orders->files[(segment * STORE_ORDER_COUNT + kind) % JOURNAL_ORDERS_FILES];
    if (open->file != NULL && open->kind == kind && open->segment == segment) {
        file_close(orders, open);
    }
    if (orders->block.part == slot->part) {
        orders->block.part = NULL;
    }
    part_free(slot);
    slot->absent = true;
}

static bool
is_damage(err_t code)
{
    return code == ERR_CORRUPT || code == ERR_VERSION || code == ERR_INCOMPLETE;
}

/* ORDER-5: the next start makes it again. */
static void
part_discard(struct journal_orders *orders, enum store_order kind, uint64_t segment)
{
    part_set_aside(orders, kind, segment);
    char path[JOURNAL_ORDER_PATH_SIZE];
    journal_order_path(orders->folder, kind, segment, path);
    /* If it cannot be removed, the damage is found again. */
    (void)orders->disk->ops->remove(orders->disk, path);
}

static bool
slots_grow(struct journal_orders *orders, uint64_t segment)
{
    if (segment < orders->slot_count) {
        return true;
    }
    const uint64_t count =
        segment + 1 > orders->slot_count * 2 ? segment + 1 : orders->slot_count * 2;
    for (uint32_t kind = 0; kind < STORE_ORDER_COUNT; kind++) {
        struct journal_order_slot *grown = realloc(orders->slots[kind], count * sizeof(*grown));
        if (grown == NULL) {
            return false;
        }
        memset(&grown[orders->slot_count], 0, (count - orders->slot_count) * sizeof(*grown));
        orders->slots[kind] = grown;
    }
    orders->slot_count = count;
    return true;
}

const struct journal_order_part *
journal_orders_part(struct journal_orders *orders, enum store_order kind, uint64_t segment)
{
    if ((orders->kept & 1u << kind) == 0 || segment > atomic_load(&orders->made) ||
        !slots_grow(orders, segment)) {
        return NULL;
    }
    struct journal_order_slot *slot = &orders->slots[kind][segment];
    if (slot->part != NULL || slot->absent) {
        return slot->part;
    }
    struct journal_order_part *part = calloc(1, sizeof(*part));
    if (part == NULL) {
        return NULL;
    }
    slot->part = part;
    err_t code = part_open(orders, kind, segment, part);
    if (code == ERR_OK) {
        return part;
    }
    if (is_damage(code)) {
        part_discard(orders, kind, segment);
        return NULL;
    }
    part_free(slot);
    slot->absent = code == ERR_NOT_FOUND;
    return NULL;
}

/* Block number `number` of the part, into orders->block. */
static err_t
block_read(
    struct journal_orders *orders,
    const struct journal_order_part *part,
    uint64_t number,
    struct store_error *error)
{
    if (orders->block.part == part && orders->block.number == number) {
        return ERR_OK;
    }
    const enum store_order kind = (enum store_order)part->header.kind;
    const uint64_t segment = part->header.number;
    struct os_file *file = NULL;
    orders->block.part = NULL;
    err_t code = file_get(orders, kind, segment, &file);
    if (code == ERR_OK) {
        code = orders->disk->ops->read(
            orders->disk,
            file,
            orders->block.entries,
            JOURNAL_ORDER_BLOCK,
            JOURNAL_ORDER_BLOCK * (1 + number));
    }
    if (code == ERR_OK && journal_order_block_checksum(segment, number, orders->block.entries) !=
                              part->fences[number].checksum) {
        code = ERR_CORRUPT;
    }
    if (code != ERR_OK) {
        char path[JOURNAL_ORDER_PATH_SIZE];
        journal_order_path(orders->folder, kind, segment, path);
        /* A disk that does not answer says nothing of the part. */
        if (is_damage(code)) {
            part_discard(orders, kind, segment);
        } else {
            part_set_aside(orders, kind, segment);
        }
        return store_error_set(
            error, code, "%s: %s: asked again, the journal answers", path, err_text(code));
    }
    orders->block.part = part;
    orders->block.number = number;
    return ERR_OK;
}

/* The number of the first entry that is not below `entry`. */
static err_t
lower_bound(
    struct journal_orders *orders,
    const struct journal_order_part *part,
    uint64_t entry,
    uint64_t *ret_number,
    struct store_error *error)
{
    uint64_t low = 0;
    uint64_t high = journal_order_block_count(part->header.count);
    while (low < high) { /* the first block that begins at or above it */
        uint64_t middle = low + (high - low) / 2;
        if (part->fences[middle].first < entry) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) {
        *ret_number = 0;
        return ERR_OK;
    }
    const uint64_t block = low - 1;
    TRY(block_read(orders, part, block, error));
    low = block * JOURNAL_ORDER_ENTRIES;
    high = low + JOURNAL_ORDER_ENTRIES;
    high = high < part->header.count ? high : part->header.count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (orders->block.entries[middle % JOURNAL_ORDER_ENTRIES] < entry) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_number = low;
    return ERR_OK;
}

err_t
journal_orders_range(
    struct journal_orders *orders,
    const struct journal_order_part *part,
    uint32_t key,
    uint64_t *ret_from,
    uint64_t *ret_to,
    struct store_error *error)
{
    uint64_t to = part->header.count;
    TRY(lower_bound(orders, part, journal_order_entry(key, 0), ret_from, error));
    if (key < UINT32_MAX) {
        TRY(lower_bound(orders, part, journal_order_entry(key + 1, 0), &to, error));
    }
    *ret_to = to;
    return ERR_OK;
}

err_t
journal_orders_position(
    struct journal_orders *orders,
    const struct journal_order_part *part,
    uint64_t number,
    journal_position_t *ret_position,
    struct store_error *error)
{
    ASSERT(number < part->header.count);
    TRY(block_read(orders, part, number / JOURNAL_ORDER_ENTRIES, error));
    uint64_t entry = orders->block.entries[number % JOURNAL_ORDER_ENTRIES];
    *ret_position = journal_position(part->header.number, journal_order_offset(entry));
    return ERR_OK;
}
