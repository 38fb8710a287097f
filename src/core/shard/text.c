/* The text of a map: one thing a line, in the order of README.md. */
#include "shard_internal.h"

#include "base/assert.h"

#include <string.h>

enum {
    WORDS_MAX = 4,
};

struct line {
    struct span words[WORDS_MAX];
    size_t count;
};

struct reading {
    struct shard_map *map;
    struct shard_problem problem;
    uint32_t slot;  /* the next one without an owner */
    bool head_seen; /* "tael-shards 1" */
    bool epoch_seen;
    bool first_of_table; /* a range table's first point, at "-", is yet to come */
};

static err_t
refuse(struct reading *reading, err_t error, const char *reason)
{
    reading->problem.reason = reason;
    return error;
}

/* Words with one space between them; anything else is no line of ours. */
static bool
line_split(struct span text, struct line *ret_line)
{
    ret_line->count = 0;
    for (;;) {
        size_t end = span_find(text, ' ', 0);
        if (ret_line->count == WORDS_MAX || !shard_visible(span_slice(text, 0, end), SIZE_MAX)) {
            return false;
        }
        ret_line->words[ret_line->count++] = span_slice(text, 0, end);
        if (end == text.size) {
            return true;
        }
        text = span_slice(text, end + 1, text.size);
    }
}

/* Without leading zeros: a map has one text. */
static bool
number_read(struct span text, uint64_t *ret_value)
{
    return (text.size == 1 || (text.size > 1 && text.data[0] != '0')) &&
           span_parse_u64(text, ret_value);
}

static err_t
shard_named(struct reading *reading, struct span name, uint32_t *ret_shard)
{
    if (shard_map_find(reading->map, name, ret_shard) != ERR_OK) {
        return refuse(reading, ERR_INVALID, "no line above names this shard");
    }
    return ERR_OK;
}

/* ------------------------------------------------------------------------------------- lines ---
 */

static err_t
read_head(struct reading *reading, const struct line *line)
{
    if (reading->head_seen || !span_equal_cstr(line->words[1], "1")) {
        return refuse(reading, ERR_INVALID, "this version reads \"tael-shards 1\", once");
    }
    reading->head_seen = true;
    return ERR_OK;
}

static err_t
read_epoch(struct reading *reading, const struct line *line)
{
    if (reading->epoch_seen) {
        return refuse(reading, ERR_INVALID, "a map has one epoch");
    }
    if (!number_read(line->words[1], &reading->map->epoch) || reading->map->epoch == 0 ||
        reading->map->epoch > SHARD_EPOCH_MAX) {
        return refuse(reading, ERR_INVALID, "an epoch is a number from 1");
    }
    reading->epoch_seen = true;
    return ERR_OK;
}

static err_t
read_shard(struct reading *reading, const struct line *line)
{
    uint32_t shard;
    if (reading->slot != 0) {
        return refuse(reading, ERR_INVALID, "shards come before slots");
    }
    err_t result = shard_map_add(reading->map, line->words[1], line->words[2], &shard);
    return result == ERR_OK       ? ERR_OK
           : result == ERR_EXISTS ? refuse(reading, ERR_INVALID, "this shard is there already")
           : result == ERR_FULL   ? refuse(reading, ERR_FULL, "too many shards")
                                  : refuse(reading, ERR_INVALID, "no such name or address can be");
}

/* "slots FIRST-LAST SHARD", each run beginning behind the one before it (SHARD-1). */
static err_t
read_slots(struct reading *reading, const struct line *line)
{
    struct span last_text = line->words[1];
    struct span first_text = span_cut(&last_text, '-');
    uint64_t first, last;
    uint32_t shard;
    if (!number_read(first_text, &first) || !number_read(last_text, &last) || last >= SHARD_SLOTS ||
        first > last) {
        return refuse(reading, ERR_INVALID, "slots are FIRST-LAST, from 0 to 16383");
    }
    if (first != reading->slot) {
        return refuse(
            reading,
            ERR_INVALID,
            first < reading->slot ? "a line above gives these slots away"
                                  : "slots before these have no owner");
    }
    TRY(shard_named(reading, line->words[2], &shard));
    memset(&reading->map->owners[first], (int)shard, last - first + 1);
    reading->slot = (uint32_t)last + 1;
    return ERR_OK;
}

static err_t
read_table(struct reading *reading, const struct line *line)
{
    static const char *const strategies[] = {
        [SHARD_HASH] = "hash", [SHARD_RANGE] = "range", [SHARD_COLUMN] = "column"};

    if (reading->first_of_table) {
        return refuse(reading, ERR_INVALID, "a range table above has no \"from -\"");
    }
    for (int i = SHARD_HASH; i <= SHARD_COLUMN; i++) {
        if (!span_equal_cstr(line->words[2], strategies[i])) {
            continue;
        }
        err_t result = shard_table_add(reading->map, line->words[1], (enum shard_strategy)i);
        reading->first_of_table = i == SHARD_RANGE;
        return result == ERR_OK       ? ERR_OK
               : result == ERR_EXISTS ? refuse(reading, ERR_INVALID, "this table is there already")
               : result == ERR_FULL   ? refuse(reading, ERR_FULL, "too many tables or points")
                                      : refuse(reading, ERR_INVALID, "no such table can be");
    }
    return refuse(reading, ERR_INVALID, "a table's strategy is hash, range or column");
}

/* The keys rise, so that a map has one text. */
static err_t
read_from(struct reading *reading, const struct line *line)
{
    struct shard_map *map = reading->map;
    struct span key = line->words[1];
    uint32_t shard;
    if (map->table_count == 0 || map->tables[map->table_count - 1].strategy != SHARD_RANGE) {
        return refuse(reading, ERR_INVALID, "\"from\" belongs to a range table");
    }
    if (reading->first_of_table != span_equal_cstr(key, "-")) {
        return refuse(reading, ERR_INVALID, "the first range of a table is \"from -\"");
    }
    TRY(shard_named(reading, line->words[2], &shard));
    key = reading->first_of_table ? SPAN_EMPTY : key;
    struct span before = span_from_cstr(map->points[map->point_count - 1].key);
    if (!reading->first_of_table && span_compare(before, key) >= 0) {
        return refuse(reading, ERR_INVALID, "the keys of a table's ranges rise");
    }
    reading->first_of_table = false;
    err_t result = shard_range_split(map, map->table_count - 1, key, shard);
    return result == ERR_OK     ? ERR_OK
           : result == ERR_FULL ? refuse(reading, ERR_FULL, "too many points")
                                : refuse(reading, ERR_INVALID, "no such key can be");
}

static err_t
read_column(struct reading *reading, const struct line *line)
{
    struct shard_map *map = reading->map;
    uint32_t shard;
    if (map->table_count == 0 || map->tables[map->table_count - 1].strategy != SHARD_COLUMN) {
        return refuse(reading, ERR_INVALID, "\"column\" belongs to a column table");
    }
    TRY(shard_named(reading, line->words[2], &shard));
    err_t result = shard_column_add(map, map->table_count - 1, line->words[1], shard);
    return result == ERR_OK       ? ERR_OK
           : result == ERR_EXISTS ? refuse(reading, ERR_INVALID, "this column is there already")
           : result == ERR_FULL   ? refuse(reading, ERR_FULL, "too many columns")
                                  : refuse(reading, ERR_INVALID, "no such column can be");
}

static err_t
read_line(struct reading *reading, struct span text)
{
    static const struct {
        const char *word;
        size_t count;
        err_t (*read)(struct reading *reading, const struct line *line);
    } kinds[] = {
        {"tael-shards", 2, read_head},
        {"epoch", 2, read_epoch},
        {"shard", 3, read_shard},
        {"slots", 3, read_slots},
        {"table", 3, read_table},
        {"from", 3, read_from},
        {"column", 3, read_column},
    };

    struct line line;
    if (text.size == 0 || text.data[0] == '#') {
        return ERR_OK;
    }
    if (!line_split(text, &line)) {
        return refuse(reading, ERR_INVALID, "words with one space between them are needed");
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!span_equal_cstr(line.words[0], kinds[i].word)) {
            continue;
        }
        if (line.count != kinds[i].count) {
            return refuse(reading, ERR_INVALID, "too few words, or too many");
        }
        if (i != 0 && !reading->head_seen) {
            return refuse(reading, ERR_INVALID, "the first line is \"tael-shards 1\"");
        }
        return kinds[i].read(reading, &line);
    }
    return refuse(reading, ERR_INVALID, "no line begins so");
}

static err_t
read_end(struct reading *reading)
{
    if (!reading->epoch_seen) {
        return refuse(reading, ERR_INVALID, "there is no epoch");
    }
    if (reading->slot != SHARD_SLOTS) {
        return refuse(reading, ERR_INVALID, "the last slots have no owner");
    }
    if (reading->first_of_table) {
        return refuse(reading, ERR_INVALID, "a range table above has no \"from -\"");
    }
    return ERR_OK;
}

err_t
shard_map_read(struct span text, struct shard_map *ret_map, struct shard_problem *ret_problem)
{
    struct reading reading = {.map = ret_map, .problem = {.line = 1}};
    shard_map_init(ret_map);
    err_t result = ERR_OK;
    if (text.size > SHARD_TEXT_MAX) {
        result = refuse(&reading, ERR_FULL, "the text is too long");
    }
    while (result == ERR_OK && text.size > 0) {
        result = read_line(&reading, span_cut(&text, '\n'));
        reading.problem.line += result == ERR_OK ? 1 : 0;
    }
    result = result == ERR_OK ? read_end(&reading) : result;
    *ret_problem = reading.problem;
    return result;
}

/* ----------------------------------------------------------------------------------- writing ---
 */

static void
append(struct buf *out, const char *first, const char *second, const char *third)
{
    buf_append_cstr(out, first);
    buf_append_byte(out, ' ');
    buf_append_cstr(out, second);
    buf_append_byte(out, ' ');
    buf_append_cstr(out, third);
    buf_append_byte(out, '\n');
}

static void
write_slots(const struct shard_map *map, struct buf *out)
{
    uint32_t first = 0;
    for (uint32_t i = 1; i <= SHARD_SLOTS; i++) {
        if (i < SHARD_SLOTS && map->owners[i] == map->owners[first]) {
            continue;
        }
        buf_append_cstr(out, "slots ");
        buf_append_u64(out, first);
        buf_append_byte(out, '-');
        buf_append_u64(out, i - 1);
        buf_append_byte(out, ' ');
        buf_append_cstr(out, map->shards[map->owners[first]].name);
        buf_append_byte(out, '\n');
        first = i;
    }
}

static void
write_table(const struct shard_map *map, uint32_t table, struct buf *out)
{
    static const char *const strategies[] = {
        [SHARD_HASH] = "hash", [SHARD_RANGE] = "range", [SHARD_COLUMN] = "column"};

    append(out, "table", map->tables[table].name, strategies[map->tables[table].strategy]);
    for (uint32_t i = 0; i < map->point_count; i++) {
        const struct shard_point *point = &map->points[i];
        if (point->table == table) {
            append(
                out,
                "from",
                point->key[0] == '\0' ? "-" : point->key,
                map->shards[point->shard].name);
        }
    }
    for (uint32_t i = 0; i < map->column_count; i++) {
        const struct shard_column *column = &map->columns[i];
        if (column->table == table) {
            append(out, "column", column->name, map->shards[column->shard].name);
        }
    }
}

void
shard_map_write(const struct shard_map *map, struct buf *out)
{
    ASSERT(map->shard_count > 0);
    buf_append_cstr(out, "tael-shards 1\nepoch ");
    buf_append_u64(out, map->epoch);
    buf_append_byte(out, '\n');
    for (uint32_t i = 0; i < map->shard_count; i++) {
        append(out, "shard", map->shards[i].name, map->shards[i].at);
    }
    write_slots(map, out);
    for (uint32_t i = 0; i < map->table_count; i++) {
        write_table(map, i, out);
    }
}
