// Independent codecs of payment codes as a filter: a JSON array of jobs on standard input, an array
// of results on standard output. A job that its library refuses has the result {error}.
import { readFileSync } from "node:fs";
import qrcps from "emv-qrcps";
import { encode, parse, withCrcTag } from "promptparse";
import { anyId, billPayment, slipVerify, trueMoney } from "promptparse/generate";
import * as validate from "promptparse/validate";

const { Merchant, Consumer } = qrcps;

// Objects by path ("62-03") from the lines that emv-qrcps prints: "62 33", then " 03 04 1234".
function objects(raw) {
  const found = {};
  let template = null;
  for (const line of raw.split("\n").filter((text) => text !== "")) {
    const [, indent, id, rest] = /^( *)(\d\d) (.*)$/s.exec(line);
    if (indent === "" && /^\d+$/.test(rest)) {
      template = id;
    } else {
      found[indent === "" ? id : `${template}-${id}`] = rest.slice(3);
    }
  }
  return found;
}

const setters = {
  "00": "setPayloadFormatIndicator", "01": "setPointOfInitiationMethod",
  52: "setMerchantCategoryCode", 53: "setTransactionCurrency", 54: "setTransactionAmount",
  55: "setTipOrConvenienceIndicator", 56: "setValueOfConvenienceFeeFixed",
  57: "setValueOfConvenienceFeePercentage", 58: "setCountryCode", 59: "setMerchantName",
  60: "setMerchantCity", 61: "setPostalCode",
};
const additional = [
  "setBillNumber", "setMobileNumber", "setStoreLabel", "setLoyaltyNumber", "setReferenceLabel",
  "setCustomerLabel", "setTerminalLabel", "setPurposeTransaction",
  "setAdditionalConsumerDataRequest",
];

// A code from objects by path.
function build(wanted) {
  const code = Merchant.buildEMVQR();
  const templates = {};
  for (const [path, value] of Object.entries(wanted)) {
    const [id, inner] = path.split("-");
    if (inner === undefined) {
      code[setters[id]](value);
    } else {
      (templates[id] ??= {})[inner] = value;
    }
  }
  for (const [id, inner] of Object.entries(templates)) {
    if (id === "62") {
      const data = Merchant.buildAdditionalDataFieldTemplate();
      for (const [key, value] of Object.entries(inner)) {
        data[additional[Number(key) - 1]](value);
      }
      code.setAdditionalDataFieldTemplate(data);
    } else if (id === "64") {
      const language = Merchant.buildMerchantInformationLanguageTemplate();
      language.setLanguagePreference(inner["00"]);
      language.setMerchantName(inner["01"]);
      language.setMerchantCity(inner["02"]);
      code.setMerchantInformationLanguageTemplate(language);
    } else {
      const account = Merchant.buildMerchantAccountInformation();
      account.setGloballyUniqueIdentifier(inner["00"]);
      for (const [key, value] of Object.entries(inner).filter(([key]) => key !== "00")) {
        account.addPaymentNetworkSpecific(key, value);
      }
      code.addMerchantAccountInformation(id, account);
    }
  }
  code.validate();
  return code.generatePayload();
}

function consumer({ applications, common, transparent }) {
  const code = Consumer.buildEMVQR();
  code.setDataPayloadFormatIndicator("CPV01");
  for (const [aid, label] of applications) {
    const application = Consumer.buildApplicationTemplate();
    const tlv = Consumer.buildBERTLV();
    tlv.setDataApplicationDefinitionFileName(aid);
    tlv.setDataApplicationLabel(label);
    application.setBERTLV(tlv);
    code.addApplicationTemplate(application);
  }
  const template = Consumer.buildCommonDataTemplate();
  const tlv = Consumer.buildBERTLV();
  tlv.setDataApplicationPAN(common.pan);
  tlv.setDataCardholderName(common.name);
  tlv.setDataLanguagePreference(common.languages);
  template.setBERTLV(tlv);
  const inner = Consumer.buildCommonDataTransparentTemplate();
  const cryptogram = Consumer.buildBERTLV();
  cryptogram.setDataApplicationCryptogram(transparent.cryptogram);
  cryptogram.setDataApplicationTransactionCounter(transparent.counter);
  inner.setBERTLV(cryptogram);
  template.addCommonDataTransparentTemplate(inner);
  code.addCommonDataTemplate(template);
  return code.generatePayload();
}

// promptparse's tags as objects by path; its parser looks into whatever looks like a template.
function tags(list) {
  return list.map(({ id, value }) => [id, value]);
}

const operations = {
  "emv-qrcps parse": ({ code }) => {
    const parsed = Merchant.Parser.toEMVQR(code);
    parsed.validate();
    return { objects: objects(parsed.rawData()), again: parsed.generatePayload() };
  },
  "emv-qrcps build": ({ objects: wanted }) => build(wanted),
  "emv-qrcps consumer": (job) => consumer(job),
  "promptparse parse": ({ code }) => {
    const parsed = parse(code, true, false);
    return parsed === null ? null : tags(parsed.getTags());
  },
  "promptparse build": ({ tags: wanted }) =>
    withCrcTag(encode(wanted.map(([id, value]) => ({ id, value, length: value.length }))), "63"),
  "promptparse anyId": (job) => anyId(job),
  "promptparse billPayment": (job) => billPayment(job),
  "promptparse trueMoney": (job) => trueMoney(job),
  "promptparse slipVerify": (job) => slipVerify(job),
  "promptparse validate anyId": ({ code }) => validate.anyId(code),
  "promptparse validate billPayment": ({ code }) => validate.billPayment(code),
};

const results = JSON.parse(readFileSync(0, "utf8")).map(({ operation, ...job }) => {
  try {
    return operations[operation](job);
  } catch (error) {
    return { error: String(error) };
  }
});
process.stdout.write(JSON.stringify(results));
