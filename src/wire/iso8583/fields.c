/* The field table of ISO 8583:1987, and the dialects over it. */
#include "iso8583/iso8583.h"

#define FIXED(kind_, maximum_)                                                                     \
    {                                                                                              \
        .kind = ISO8583_##kind_, .prefix = 0, .maximum = (maximum_)                                \
    }
#define LL(kind_, maximum_)                                                                        \
    {                                                                                              \
        .kind = ISO8583_##kind_, .prefix = 2, .maximum = (maximum_)                                \
    }
#define LLL(kind_, maximum_)                                                                       \
    {                                                                                              \
        .kind = ISO8583_##kind_, .prefix = 3, .maximum = (maximum_)                                \
    }

/* clang-format off */
static const struct iso8583_field fields[ISO8583_FIELDS + 1] = {
    [2] = LL(N, 19),      [3] = FIXED(N, 6),    [4] = FIXED(N, 12),   [5] = FIXED(N, 12),
    [6] = FIXED(N, 12),   [7] = FIXED(N, 10),   [8] = FIXED(N, 8),    [9] = FIXED(N, 8),
    [10] = FIXED(N, 8),   [11] = FIXED(N, 6),   [12] = FIXED(N, 6),   [13] = FIXED(N, 4),
    [14] = FIXED(N, 4),   [15] = FIXED(N, 4),   [16] = FIXED(N, 4),   [17] = FIXED(N, 4),
    [18] = FIXED(N, 4),   [19] = FIXED(N, 3),   [20] = FIXED(N, 3),   [21] = FIXED(N, 3),
    [22] = FIXED(N, 3),   [23] = FIXED(N, 3),   [24] = FIXED(N, 3),   [25] = FIXED(N, 2),
    [26] = FIXED(N, 2),   [27] = FIXED(N, 1),   [28] = FIXED(XN, 9),  [29] = FIXED(XN, 9),
    [30] = FIXED(XN, 9),  [31] = FIXED(XN, 9),  [32] = LL(N, 11),     [33] = LL(N, 11),
    [34] = LL(NS, 28),    [35] = LL(Z, 37),     [36] = LLL(Z, 104),   [37] = FIXED(AN, 12),
    [38] = FIXED(AN, 6),  [39] = FIXED(AN, 2),  [40] = FIXED(AN, 3),  [41] = FIXED(ANS, 8),
    [42] = FIXED(ANS, 15), [43] = FIXED(ANS, 40), [44] = LL(ANS, 25), [45] = LL(ANS, 76),
    [46] = LLL(ANS, 999), [47] = LLL(ANS, 999), [48] = LLL(ANS, 999), [49] = FIXED(N, 3),
    [50] = FIXED(N, 3),   [51] = FIXED(N, 3),   [52] = FIXED(B, 8),   [53] = FIXED(N, 16),
    [54] = LLL(ANS, 120), [55] = LLL(B, 255),   [56] = LLL(ANS, 999), [57] = LLL(ANS, 999),
    [58] = LLL(ANS, 999), [59] = LLL(ANS, 999), [60] = LLL(ANS, 999), [61] = LLL(ANS, 999),
    [62] = LLL(ANS, 999), [63] = LLL(ANS, 999), [64] = FIXED(B, 8),
    /* 65, a third bitmap, is not used: no message of 1987 has one. */
    [66] = FIXED(N, 1),   [67] = FIXED(N, 2),   [68] = FIXED(N, 3),   [69] = FIXED(N, 3),
    [70] = FIXED(N, 3),   [71] = FIXED(N, 4),   [72] = FIXED(N, 4),   [73] = FIXED(N, 6),
    [74] = FIXED(N, 10),  [75] = FIXED(N, 10),  [76] = FIXED(N, 10),  [77] = FIXED(N, 10),
    [78] = FIXED(N, 10),  [79] = FIXED(N, 10),  [80] = FIXED(N, 10),  [81] = FIXED(N, 10),
    [82] = FIXED(N, 12),  [83] = FIXED(N, 12),  [84] = FIXED(N, 12),  [85] = FIXED(N, 12),
    [86] = FIXED(N, 16),  [87] = FIXED(N, 16),  [88] = FIXED(N, 16),  [89] = FIXED(N, 16),
    [90] = FIXED(N, 42),  [91] = FIXED(AN, 1),  [92] = FIXED(AN, 2),  [93] = FIXED(AN, 6),
    [94] = FIXED(AN, 7),  [95] = FIXED(AN, 42), [96] = FIXED(B, 8),   [97] = FIXED(XN, 17),
    [98] = FIXED(ANS, 25), [99] = LL(N, 11),    [100] = LL(N, 11),    [101] = LL(ANS, 17),
    [102] = LL(ANS, 28),  [103] = LL(ANS, 28),  [104] = LLL(ANS, 100),
    [105] = LLL(ANS, 999), [106] = LLL(ANS, 999), [107] = LLL(ANS, 999), [108] = LLL(ANS, 999),
    [109] = LLL(ANS, 999), [110] = LLL(ANS, 999), [111] = LLL(ANS, 999), [112] = LLL(ANS, 999),
    [113] = LLL(ANS, 999), [114] = LLL(ANS, 999), [115] = LLL(ANS, 999), [116] = LLL(ANS, 999),
    [117] = LLL(ANS, 999), [118] = LLL(ANS, 999), [119] = LLL(ANS, 999), [120] = LLL(ANS, 999),
    [121] = LLL(ANS, 999), [122] = LLL(ANS, 999), [123] = LLL(ANS, 999), [124] = LLL(ANS, 999),
    [125] = LLL(ANS, 999), [126] = LLL(ANS, 999), [127] = LLL(ANS, 999),
    [128] = FIXED(B, 8),
};
/* clang-format on */

const struct iso8583_dialect iso8583_ascii = {
    .name = "ascii",
    .type = ISO8583_CHARACTERS,
    .bitmap = ISO8583_CHARACTERS,
    .length = ISO8583_CHARACTERS,
    .value =
        {
            [ISO8583_N] = ISO8583_CHARACTERS,
            [ISO8583_NS] = ISO8583_CHARACTERS,
            [ISO8583_AN] = ISO8583_CHARACTERS,
            [ISO8583_ANS] = ISO8583_CHARACTERS,
            [ISO8583_XN] = ISO8583_CHARACTERS,
            [ISO8583_Z] = ISO8583_CHARACTERS,
            [ISO8583_B] = ISO8583_CHARACTERS,
        },
    .fields = fields,
};

const struct iso8583_dialect iso8583_binary = {
    .name = "binary",
    .type = ISO8583_PACKED,
    .bitmap = ISO8583_PACKED,
    .length = ISO8583_PACKED,
    .value =
        {
            [ISO8583_N] = ISO8583_PACKED,
            [ISO8583_NS] = ISO8583_CHARACTERS,
            [ISO8583_AN] = ISO8583_CHARACTERS,
            [ISO8583_ANS] = ISO8583_CHARACTERS,
            [ISO8583_XN] = ISO8583_PACKED,
            [ISO8583_Z] = ISO8583_PACKED,
            [ISO8583_B] = ISO8583_PACKED,
        },
    .fields = fields,
};

const struct iso8583_dialect *
iso8583_dialect_find(struct span name)
{
    if (span_equal_cstr(name, iso8583_ascii.name)) {
        return &iso8583_ascii;
    }
    return span_equal_cstr(name, iso8583_binary.name) ? &iso8583_binary : NULL;
}
