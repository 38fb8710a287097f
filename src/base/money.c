#include "base/money.h"

#include "base/assert.h"
#include "base/buf.h"

/*
 * Code, API code, number, ISO exponent, API exponent, API minimum; in the order of the codes.
 * All codes of ISO 4217 with a minor unit; the exponent of MGA and MRU is ISO's 2 although five
 * of their subunits make one. The public API's exponents differ for MGA (no decimals), ISK and UGX
 * (two, which must be zero). Minimums are those that Stripe publishes for its settlement
 * currencies, and elsewhere one unit (a tenth where a unit has a thousand or more subunits).
 */
/* clang-format off */
#define CURRENCY_TABLE(X)                                                                          \
    X(AED, aed, 784, 2, 2, 200)                                                                    \
    X(AFN, afn, 971, 2, 2, 100)                                                                    \
    X(ALL, all, 8, 2, 2, 100)                                                                      \
    X(AMD, amd, 51, 2, 2, 100)                                                                     \
    X(AOA, aoa, 973, 2, 2, 100)                                                                    \
    X(ARS, ars, 32, 2, 2, 100)                                                                     \
    X(AUD, aud, 36, 2, 2, 50)                                                                      \
    X(AWG, awg, 533, 2, 2, 100)                                                                    \
    X(AZN, azn, 944, 2, 2, 100)                                                                    \
    X(BAM, bam, 977, 2, 2, 100)                                                                    \
    X(BBD, bbd, 52, 2, 2, 100)                                                                     \
    X(BDT, bdt, 50, 2, 2, 100)                                                                     \
    X(BGN, bgn, 975, 2, 2, 100)                                                                    \
    X(BHD, bhd, 48, 3, 3, 100)                                                                     \
    X(BIF, bif, 108, 0, 0, 1)                                                                      \
    X(BMD, bmd, 60, 2, 2, 100)                                                                     \
    X(BND, bnd, 96, 2, 2, 100)                                                                     \
    X(BOB, bob, 68, 2, 2, 100)                                                                     \
    X(BOV, bov, 984, 2, 2, 100)                                                                    \
    X(BRL, brl, 986, 2, 2, 50)                                                                     \
    X(BSD, bsd, 44, 2, 2, 100)                                                                     \
    X(BTN, btn, 64, 2, 2, 100)                                                                     \
    X(BWP, bwp, 72, 2, 2, 100)                                                                     \
    X(BYN, byn, 933, 2, 2, 100)                                                                    \
    X(BZD, bzd, 84, 2, 2, 100)                                                                     \
    X(CAD, cad, 124, 2, 2, 50)                                                                     \
    X(CDF, cdf, 976, 2, 2, 100)                                                                    \
    X(CHE, che, 947, 2, 2, 100)                                                                    \
    X(CHF, chf, 756, 2, 2, 50)                                                                     \
    X(CHW, chw, 948, 2, 2, 100)                                                                    \
    X(CLF, clf, 990, 4, 4, 1000)                                                                   \
    X(CLP, clp, 152, 0, 0, 1)                                                                      \
    X(CNY, cny, 156, 2, 2, 100)                                                                    \
    X(COP, cop, 170, 2, 2, 100)                                                                    \
    X(COU, cou, 970, 2, 2, 100)                                                                    \
    X(CRC, crc, 188, 2, 2, 100)                                                                    \
    X(CUP, cup, 192, 2, 2, 100)                                                                    \
    X(CVE, cve, 132, 2, 2, 100)                                                                    \
    X(CZK, czk, 203, 2, 2, 1500)                                                                   \
    X(DJF, djf, 262, 0, 0, 1)                                                                      \
    X(DKK, dkk, 208, 2, 2, 250)                                                                    \
    X(DOP, dop, 214, 2, 2, 100)                                                                    \
    X(DZD, dzd, 12, 2, 2, 100)                                                                     \
    X(EGP, egp, 818, 2, 2, 100)                                                                    \
    X(ERN, ern, 232, 2, 2, 100)                                                                    \
    X(ETB, etb, 230, 2, 2, 100)                                                                    \
    X(EUR, eur, 978, 2, 2, 50)                                                                     \
    X(FJD, fjd, 242, 2, 2, 100)                                                                    \
    X(FKP, fkp, 238, 2, 2, 100)                                                                    \
    X(GBP, gbp, 826, 2, 2, 30)                                                                     \
    X(GEL, gel, 981, 2, 2, 100)                                                                    \
    X(GHS, ghs, 936, 2, 2, 100)                                                                    \
    X(GIP, gip, 292, 2, 2, 100)                                                                    \
    X(GMD, gmd, 270, 2, 2, 100)                                                                    \
    X(GNF, gnf, 324, 0, 0, 1)                                                                      \
    X(GTQ, gtq, 320, 2, 2, 100)                                                                    \
    X(GYD, gyd, 328, 2, 2, 100)                                                                    \
    X(HKD, hkd, 344, 2, 2, 400)                                                                    \
    X(HNL, hnl, 340, 2, 2, 100)                                                                    \
    X(HTG, htg, 332, 2, 2, 100)                                                                    \
    X(HUF, huf, 348, 2, 2, 17500)                                                                  \
    X(IDR, idr, 360, 2, 2, 100)                                                                    \
    X(ILS, ils, 376, 2, 2, 100)                                                                    \
    X(INR, inr, 356, 2, 2, 50)                                                                     \
    X(IQD, iqd, 368, 3, 3, 100)                                                                    \
    X(IRR, irr, 364, 2, 2, 100)                                                                    \
    X(ISK, isk, 352, 0, 2, 100)                                                                    \
    X(JMD, jmd, 388, 2, 2, 100)                                                                    \
    X(JOD, jod, 400, 3, 3, 100)                                                                    \
    X(JPY, jpy, 392, 0, 0, 50)                                                                     \
    X(KES, kes, 404, 2, 2, 100)                                                                    \
    X(KGS, kgs, 417, 2, 2, 100)                                                                    \
    X(KHR, khr, 116, 2, 2, 100)                                                                    \
    X(KMF, kmf, 174, 0, 0, 1)                                                                      \
    X(KPW, kpw, 408, 2, 2, 100)                                                                    \
    X(KRW, krw, 410, 0, 0, 1)                                                                      \
    X(KWD, kwd, 414, 3, 3, 100)                                                                    \
    X(KYD, kyd, 136, 2, 2, 100)                                                                    \
    X(KZT, kzt, 398, 2, 2, 100)                                                                    \
    X(LAK, lak, 418, 2, 2, 100)                                                                    \
    X(LBP, lbp, 422, 2, 2, 100)                                                                    \
    X(LKR, lkr, 144, 2, 2, 100)                                                                    \
    X(LRD, lrd, 430, 2, 2, 100)                                                                    \
    X(LSL, lsl, 426, 2, 2, 100)                                                                    \
    X(LYD, lyd, 434, 3, 3, 100)                                                                    \
    X(MAD, mad, 504, 2, 2, 100)                                                                    \
    X(MDL, mdl, 498, 2, 2, 100)                                                                    \
    X(MGA, mga, 969, 2, 0, 1)                                                                      \
    X(MKD, mkd, 807, 2, 2, 100)                                                                    \
    X(MMK, mmk, 104, 2, 2, 100)                                                                    \
    X(MNT, mnt, 496, 2, 2, 100)                                                                    \
    X(MOP, mop, 446, 2, 2, 100)                                                                    \
    X(MRU, mru, 929, 2, 2, 100)                                                                    \
    X(MUR, mur, 480, 2, 2, 100)                                                                    \
    X(MVR, mvr, 462, 2, 2, 100)                                                                    \
    X(MWK, mwk, 454, 2, 2, 100)                                                                    \
    X(MXN, mxn, 484, 2, 2, 1000)                                                                   \
    X(MXV, mxv, 979, 2, 2, 100)                                                                    \
    X(MYR, myr, 458, 2, 2, 200)                                                                    \
    X(MZN, mzn, 943, 2, 2, 100)                                                                    \
    X(NAD, nad, 516, 2, 2, 100)                                                                    \
    X(NGN, ngn, 566, 2, 2, 100)                                                                    \
    X(NIO, nio, 558, 2, 2, 100)                                                                    \
    X(NOK, nok, 578, 2, 2, 300)                                                                    \
    X(NPR, npr, 524, 2, 2, 100)                                                                    \
    X(NZD, nzd, 554, 2, 2, 50)                                                                     \
    X(OMR, omr, 512, 3, 3, 100)                                                                    \
    X(PAB, pab, 590, 2, 2, 100)                                                                    \
    X(PEN, pen, 604, 2, 2, 100)                                                                    \
    X(PGK, pgk, 598, 2, 2, 100)                                                                    \
    X(PHP, php, 608, 2, 2, 100)                                                                    \
    X(PKR, pkr, 586, 2, 2, 100)                                                                    \
    X(PLN, pln, 985, 2, 2, 200)                                                                    \
    X(PYG, pyg, 600, 0, 0, 1)                                                                      \
    X(QAR, qar, 634, 2, 2, 100)                                                                    \
    X(RON, ron, 946, 2, 2, 200)                                                                    \
    X(RSD, rsd, 941, 2, 2, 100)                                                                    \
    X(RUB, rub, 643, 2, 2, 100)                                                                    \
    X(RWF, rwf, 646, 0, 0, 1)                                                                      \
    X(SAR, sar, 682, 2, 2, 100)                                                                    \
    X(SBD, sbd, 90, 2, 2, 100)                                                                     \
    X(SCR, scr, 690, 2, 2, 100)                                                                    \
    X(SDG, sdg, 938, 2, 2, 100)                                                                    \
    X(SEK, sek, 752, 2, 2, 300)                                                                    \
    X(SGD, sgd, 702, 2, 2, 50)                                                                     \
    X(SHP, shp, 654, 2, 2, 100)                                                                    \
    X(SLE, sle, 925, 2, 2, 100)                                                                    \
    X(SOS, sos, 706, 2, 2, 100)                                                                    \
    X(SRD, srd, 968, 2, 2, 100)                                                                    \
    X(SSP, ssp, 728, 2, 2, 100)                                                                    \
    X(STN, stn, 930, 2, 2, 100)                                                                    \
    X(SVC, svc, 222, 2, 2, 100)                                                                    \
    X(SYP, syp, 760, 2, 2, 100)                                                                    \
    X(SZL, szl, 748, 2, 2, 100)                                                                    \
    X(THB, thb, 764, 2, 2, 1000)                                                                   \
    X(TJS, tjs, 972, 2, 2, 100)                                                                    \
    X(TMT, tmt, 934, 2, 2, 100)                                                                    \
    X(TND, tnd, 788, 3, 3, 100)                                                                    \
    X(TOP, top, 776, 2, 2, 100)                                                                    \
    X(TRY, try, 949, 2, 2, 100)                                                                    \
    X(TTD, ttd, 780, 2, 2, 100)                                                                    \
    X(TWD, twd, 901, 2, 2, 100)                                                                    \
    X(TZS, tzs, 834, 2, 2, 100)                                                                    \
    X(UAH, uah, 980, 2, 2, 100)                                                                    \
    X(UGX, ugx, 800, 0, 2, 100)                                                                    \
    X(USD, usd, 840, 2, 2, 50)                                                                     \
    X(USN, usn, 997, 2, 2, 100)                                                                    \
    X(UYI, uyi, 940, 0, 0, 1)                                                                      \
    X(UYU, uyu, 858, 2, 2, 100)                                                                    \
    X(UYW, uyw, 927, 4, 4, 1000)                                                                   \
    X(UZS, uzs, 860, 2, 2, 100)                                                                    \
    X(VED, ved, 926, 2, 2, 100)                                                                    \
    X(VES, ves, 928, 2, 2, 100)                                                                    \
    X(VND, vnd, 704, 0, 0, 1)                                                                      \
    X(VUV, vuv, 548, 0, 0, 1)                                                                      \
    X(WST, wst, 882, 2, 2, 100)                                                                    \
    X(XAF, xaf, 950, 0, 0, 1)                                                                      \
    X(XCD, xcd, 951, 2, 2, 100)                                                                    \
    X(XCG, xcg, 532, 2, 2, 100)                                                                    \
    X(XOF, xof, 952, 0, 0, 1)                                                                      \
    X(XPF, xpf, 953, 0, 0, 1)                                                                      \
    X(YER, yer, 886, 2, 2, 100)                                                                    \
    X(ZAR, zar, 710, 2, 2, 100)                                                                    \
    X(ZMW, zmw, 967, 2, 2, 100)                                                                    \
    X(ZWG, zwg, 924, 2, 2, 100)

/* clang-format on */

enum currency_index {
#define CURRENCY_INDEX(code, api_code, number, exponent, api_exponent, minimum) CURRENCY_##code,
    CURRENCY_TABLE(CURRENCY_INDEX)
#undef CURRENCY_INDEX
    CURRENCY_COUNT
};

static const struct currency currencies[CURRENCY_COUNT] = {
#define CURRENCY_ROW(code, api_code, number, exponent, api_exponent, minimum)                      \
    {#code, #api_code, number, exponent, api_exponent, minimum},
    CURRENCY_TABLE(CURRENCY_ROW)
#undef CURRENCY_ROW
};

#define CURRENCY_NUMBER_MAX 999

static_assert(CURRENCY_COUNT < UINT8_MAX, "an index and one more fit a byte");

/* Index plus one; 0 where no currency has the number. */
static const uint8_t currency_numbers[CURRENCY_NUMBER_MAX + 1] = {
#define CURRENCY_NUMBER(code, api_code, number, exponent, api_exponent, minimum)                   \
    [number] = CURRENCY_##code + 1,
    CURRENCY_TABLE(CURRENCY_NUMBER)
#undef CURRENCY_NUMBER
};

static const int64_t powers_of_ten[] = {1, 10, 100, 1000, 10000};

/* In the order of the codes' bytes. */
static uint32_t
code_number(const char code[3])
{
    return (uint32_t)(uint8_t)code[0] << 16 | (uint32_t)(uint8_t)code[1] << 8 | (uint8_t)code[2];
}

const struct currency *
currency_find(struct span code)
{
    if (code.size != 3) {
        return NULL;
    }
    char upper[3];
    for (size_t i = 0; i < 3; i++) {
        char byte = code.data[i];
        upper[i] = byte >= 'a' && byte <= 'z' ? (char)(byte - ('a' - 'A')) : byte;
    }
    uint32_t wanted = code_number(upper);
    size_t low = 0;
    size_t high = CURRENCY_COUNT;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint32_t there = code_number(currencies[middle].code);
        if (there == wanted) {
            return &currencies[middle];
        }
        if (wanted < there) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const struct currency *
currency_by_number(uint16_t number)
{
    if (number > CURRENCY_NUMBER_MAX || currency_numbers[number] == 0) {
        return NULL;
    }
    return &currencies[currency_numbers[number] - 1];
}

size_t
currency_count(void)
{
    return CURRENCY_COUNT;
}

const struct currency *
currency_at(size_t index)
{
    ASSERT(index < CURRENCY_COUNT);
    return &currencies[index];
}

err_t
money_add(struct money a, struct money b, struct money *ret_sum)
{
    ASSERT(a.currency != NULL);
    ASSERT(a.currency == b.currency);
    int64_t sum;
    if (__builtin_add_overflow(a.amount, b.amount, &sum)) {
        return ERR_RANGE;
    }
    *ret_sum = (struct money){.amount = sum, .currency = a.currency};
    return ERR_OK;
}

err_t
money_subtract(struct money a, struct money b, struct money *ret_difference)
{
    ASSERT(a.currency != NULL);
    ASSERT(a.currency == b.currency);
    int64_t difference;
    if (__builtin_sub_overflow(a.amount, b.amount, &difference)) {
        return ERR_RANGE;
    }
    *ret_difference = (struct money){.amount = difference, .currency = a.currency};
    return ERR_OK;
}

/* Half away from zero. */
static __int128
divide_rounded(__int128 value, int64_t divisor)
{
    ASSERT(divisor > 0);
    __int128 half = divisor / 2;
    return (value < 0 ? value - half : value + half) / divisor;
}

err_t
money_share(struct money amount, int32_t basis_points, struct money *ret_share)
{
    ASSERT(amount.currency != NULL);
    __int128 share = divide_rounded((__int128)amount.amount * basis_points, 10000);
    if (share > INT64_MAX || share < INT64_MIN) {
        return ERR_RANGE;
    }
    *ret_share = (struct money){.amount = (int64_t)share, .currency = amount.currency};
    return ERR_OK;
}

err_t
money_from_api(int64_t api_amount, const struct currency *currency, struct money *ret_money)
{
    ASSERT(currency != NULL);
    int64_t amount = api_amount;
    if (currency->api_exponent > currency->exponent) {
        int64_t divisor = powers_of_ten[currency->api_exponent - currency->exponent];
        if (api_amount % divisor != 0) {
            return ERR_INVALID;
        }
        amount = api_amount / divisor;
    } else {
        int64_t factor = powers_of_ten[currency->exponent - currency->api_exponent];
        if (__builtin_mul_overflow(api_amount, factor, &amount)) {
            return ERR_RANGE;
        }
    }
    *ret_money = (struct money){.amount = amount, .currency = currency};
    return ERR_OK;
}

int64_t
money_to_api(struct money money)
{
    ASSERT(money.currency != NULL);
    uint8_t exponent = money.currency->exponent;
    uint8_t api_exponent = money.currency->api_exponent;
    if (api_exponent < exponent) {
        return (int64_t)divide_rounded(money.amount, powers_of_ten[exponent - api_exponent]);
    }
    int64_t api_amount;
    if (__builtin_mul_overflow(money.amount, powers_of_ten[api_exponent - exponent], &api_amount)) {
        return money.amount < 0 ? INT64_MIN : INT64_MAX;
    }
    return api_amount;
}

void
money_format(struct money money, char out[MONEY_TEXT_SIZE])
{
    ASSERT(money.currency != NULL);
    struct buf text;
    buf_init_fixed(&text, out, MONEY_TEXT_SIZE);
    uint64_t magnitude = money.amount < 0 ? 0 - (uint64_t)money.amount : (uint64_t)money.amount;
    uint64_t unit = (uint64_t)powers_of_ten[money.currency->exponent];
    if (money.amount < 0) {
        buf_append_byte(&text, '-');
    }
    buf_append_u64(&text, magnitude / unit);
    if (unit > 1) {
        buf_append_byte(&text, '.');
        for (uint64_t digit = unit / 10; digit > 0; digit /= 10) {
            buf_append_byte(&text, (char)('0' + magnitude / digit % 10));
        }
    }
    buf_append_byte(&text, ' ');
    buf_append_cstr(&text, money.currency->code);
    buf_append_byte(&text, '\0');
    ASSERT(!buf_failed(&text));
}
