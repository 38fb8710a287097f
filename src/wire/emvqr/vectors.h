/* Codes that the tests of this folder share. Each was published by the scheme that it belongs to or
 * is the sample of several independent libraries; the checksums were recomputed by other means. */
#ifndef EMVQR_VECTORS_H
#define EMVQR_VECTORS_H

#include "base/span.h"

/* EMV QRCPS Merchant-Presented Mode 1.1, annex A: lengths in characters. */
#define VECTOR_EMVCO                                                                                    \
    "00020101021229300012D156000000000510A93FO3230Q31280012D15600000001030812345678520441115802CN"      \
    "5914BEST TRANSPORT6007BEIJING64200002ZH0104最佳运输0202北京540523.7253031565502016233030412" \
    "340603***0708A60086670902ME91320016A0112233449988770708123456786304A13A"
/* Banco Central do Brasil, manual of Pix: static codes. */
#define VECTOR_PIX                                                                                 \
    "00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-"                                     \
    "4266554400005204000053039865802BR5913"                                                        \
    "Fulano de Tal6008BRASILIA62070503***63041D3D"
#define VECTOR_PIX_NESTED                                                                          \
    "00020126440014BR.GOV.BCB.PIX0122FULANO2019 EXAMPLE.COM5204000053039865802BR5913FULANO DE TAL" \
    "6008BRASILIA62410503***50300017BR.GOV.BCB.BRCODE01051.0.0630427E9"
/* PromptPay: to a phone, without and with an amount; without an initiation method. */
#define VECTOR_PROMPTPAY                                                                           \
    "00020101021129370016A0000006770101110113006681222333353037645802TH63041DCF"
#define VECTOR_PROMPTPAY_AMOUNT                                                                    \
    "00020101021229370016A000000677010111011300668999999995802TH5303764540520.0063044DAF"
#define VECTOR_PROMPTPAY_PLAIN                                                                     \
    "00020101021129370016A000000677010111011300668012345675802TH530376463046197"
/* NAPAS, VietQR: to an account; with an amount of a currency without decimals. */
#define VECTOR_VIETQR                                                                              \
    "00020101021138570010A00000072701270006970403011300110123456780208QRIBFTTA53037045802VN63049E" \
    "6F"
#define VECTOR_VIETQR_AMOUNT                                                                       \
    "00020101021238570010A00000072701270006970415011300110019324180208QRIBFTTA53037045406120000"   \
    "5802VN62170813ung ho lu lut6304C15C"
/* EMV QRCPS Consumer-Presented Mode 1.1, annex A. */
#define VECTOR_CONSUMER                                                                            \
    "hQVDUFYwMWETTwegAAAAVVVVUAhQcm9kdWN0MWETTwegAAAAZmZmUAhQcm9kdWN0MmJJWggSNFZ4kBI0WF8gDkNBUkRI" \
    "T0xERVIvRU1WXy0IcnVlc2RlZW5kIZ8QBwYBCgMAAACfJghYT9OF+iNLzJ82AgABnzcEbVjvEw=="

static const char *const merchant_vectors[] = {
    VECTOR_EMVCO,
    VECTOR_PIX,
    VECTOR_PIX_NESTED,
    VECTOR_PROMPTPAY,
    VECTOR_PROMPTPAY_AMOUNT,
    VECTOR_PROMPTPAY_PLAIN,
    VECTOR_VIETQR,
    VECTOR_VIETQR_AMOUNT,
};

#define MERCHANT_VECTOR_COUNT (sizeof(merchant_vectors) / sizeof(merchant_vectors[0]))

#endif
