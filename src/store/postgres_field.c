#include "postgres.h"

#include <endian.h>
#include <string.h>

/* numeric_send and numeric_recv of the server: digits of base 10,000, the most significant first;
 * the weight is the first one's power. */
#define BASE       10000u
#define DIGITS_MAX 10u /* of 2^128 */

struct number {
    uint16_t digits[DIGITS_MAX]; /* the least significant first */
    uint32_t count;
};

static struct number
number_of(u128 value)
{
    struct number number = {.count = 0};
    while (value > UINT64_MAX) {
        number.digits[number.count++] = (uint16_t)(value % BASE);
        value /= BASE;
    }
    for (uint64_t rest = (uint64_t)value; rest > 0; rest /= BASE) {
        number.digits[number.count++] = (uint16_t)(rest % BASE);
    }
    return number;
}

void
store_pg_field_null(struct buf *out)
{
    postgres_append_32(out, -1);
}

void
store_pg_field_16(struct buf *out, uint16_t value)
{
    postgres_append_32(out, sizeof(value));
    postgres_append_16(out, (int16_t)value);
}

void
store_pg_field_32(struct buf *out, uint32_t value)
{
    postgres_append_32(out, sizeof(value));
    postgres_append_32(out, (int32_t)value);
}

void
store_pg_field_64(struct buf *out, uint64_t value)
{
    postgres_append_32(out, sizeof(value));
    postgres_append_64(out, (int64_t)value);
}

static void
append_id(struct buf *out, u128 id)
{
    uint64_t big[2] = {htobe64((uint64_t)(id >> 64)), htobe64((uint64_t)id)};
    buf_append(out, big, sizeof(big));
}

void
store_pg_field_id(struct buf *out, u128 id)
{
    postgres_append_32(out, sizeof(id));
    append_id(out, id);
}

static void
append_number(struct buf *out, u128 value)
{
    struct number number = number_of(value);
    uint32_t zeros = 0; /* at the end, which are not written */
    while (zeros < number.count && number.digits[zeros] == 0) {
        zeros++;
    }
    uint32_t count = number.count - zeros;
    uint16_t bytes[4 + DIGITS_MAX] = {
        htobe16((uint16_t)count),
        htobe16((uint16_t)(number.count == 0 ? 0 : number.count - 1)),
        0, /* positive */
        0, /* no digits behind the point */
    };
    for (uint32_t i = 0; i < count; i++) {
        bytes[4 + i] = htobe16(number.digits[number.count - 1 - i]);
    }
    size_t size = (4 + count) * sizeof(bytes[0]);
    postgres_append_32(out, (int32_t)size);
    buf_append(out, bytes, size);
}

void
store_pg_field_number(struct buf *out, u128 value)
{
    append_number(out, value);
}

void
store_pg_param_64(struct buf *param, uint64_t value)
{
    buf_clear(param);
    postgres_append_64(param, (int64_t)value);
}

void
store_pg_param_id(struct buf *param, u128 id)
{
    buf_clear(param);
    append_id(param, id);
}

static uint16_t
get_16(const char *data, size_t index)
{
    uint16_t big;
    memcpy(&big, data + index * sizeof(big), sizeof(big));
    return be16toh(big);
}

err_t
store_pg_get_number(const PGresult *result, int row, int column, u128 *ret_value)
{
    *ret_value = 0;
    if (PQgetisnull(result, row, column)) {
        return ERR_OK;
    }
    const char *data = PQgetvalue(result, row, column);
    size_t size = (size_t)PQgetlength(result, row, column);
    if (size < 4 * sizeof(uint16_t)) {
        return ERR_CORRUPT;
    }
    uint32_t count = get_16(data, 0);
    int32_t weight = (int16_t)get_16(data, 1);
    if (size != (4 + count) * sizeof(uint16_t) || get_16(data, 2) != 0) {
        return ERR_CORRUPT; /* negative, infinite or no number */
    }
    if (count == 0) {
        return ERR_OK;
    }
    if (weight < (int32_t)count - 1 || weight >= (int32_t)DIGITS_MAX) {
        return ERR_CORRUPT; /* a fraction, or too large */
    }
    u128 value = 0;
    for (int32_t i = 0; i <= weight; i++) {
        uint16_t digit = i < (int32_t)count ? get_16(data, 4 + (size_t)i) : 0;
        if (__builtin_mul_overflow(value, (u128)BASE, &value) ||
            __builtin_add_overflow(value, (u128)digit, &value)) {
            return ERR_CORRUPT;
        }
    }
    *ret_value = value;
    return ERR_OK;
}

err_t
store_pg_get_balances(
    const PGresult *result, int row, int column, struct ledger_balances *ret_balances)
{
    TRY(store_pg_get_number(result, row, column, &ret_balances->debits_pending));
    TRY(store_pg_get_number(result, row, column + 1, &ret_balances->debits_posted));
    TRY(store_pg_get_number(result, row, column + 2, &ret_balances->credits_pending));
    return store_pg_get_number(result, row, column + 3, &ret_balances->credits_posted);
}

u128
store_pg_id_of(struct span bytes)
{
    uint64_t big[2];
    ASSERT(bytes.size == sizeof(big));
    memcpy(big, bytes.data, sizeof(big));
    return (u128)be64toh(big[0]) << 64 | be64toh(big[1]);
}

u128
store_pg_get_id(const PGresult *result, int row, int column)
{
    if (PQgetisnull(result, row, column)) {
        return 0;
    }
    return store_pg_id_of(postgres_get_text(result, row, column));
}

uint64_t
store_pg_get_64(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? 0 : (uint64_t)postgres_get_64(result, row, column);
}
