/* What the tokenizer classes of `transformers` 5 make of a SentencePiece model (its
 * models/NAME/tokenization_NAME.py and convert_slow_tokenizer.py), one row a class; sentencepiece_convert.c
 * carries the rows out. */
#include "text/sentencepiece.h"

const char *const gn__spm_named_key[GN__SPM_NAMED] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                                      "pad_token", "cls_token", "mask_token"};

static const char *const roberta_first[] = {"=bos_token", "=pad_token", "=eos_token", "=unk_token", NULL};
static const char *const mbart50_first[] = {"=cls_token", "=pad_token", "=eos_token", "=unk_token", NULL};
static const char *const camembert_first[] = {"<s>NOTUSED", "=pad_token",    "</s>NOTUSED",
                                              "=unk_token", "!<unk>NOTUSED", NULL};
static const char *const pegasus_first[] = {"=pad_token", "=eos_token", "#masks", "#unks", NULL};
static const char *const mask_last[] = {"=mask_token", NULL};
static const char *const extra_last[] = {"#extra_ids", NULL};

#define LANGUAGES_25                                                                                       \
    "ar_AR", "cs_CZ", "de_DE", "en_XX", "es_XX", "et_EE", "fi_FI", "fr_XX", "gu_IN", "hi_IN", "it_IT",     \
        "ja_XX", "kk_KZ", "ko_KR", "lt_LT", "lv_LV", "my_MM", "ne_NP", "nl_XX", "ro_RO", "ru_RU", "si_LK", \
        "tr_TR", "vi_VN", "zh_CN"
#define LANGUAGES_27                                                                                       \
    "af_ZA", "az_AZ", "bn_IN", "fa_IR", "he_IL", "hr_HR", "id_ID", "ka_GE", "km_KH", "mk_MK", "ml_IN",     \
        "mn_MN", "mr_IN", "pl_PL", "ps_AF", "pt_XX", "sv_SE", "sw_KE", "ta_IN", "te_IN", "th_TH", "tl_XX", \
        "uk_UA", "ur_PK", "xh_ZA", "gl_ES", "sl_SI"
static const char *const mbart_last[] = {LANGUAGES_25, "=mask_token", NULL};
static const char *const mbart50_last[] = {LANGUAGES_25, LANGUAGES_27, "=mask_token", NULL};

/* bos, eos, unk, sep, pad, cls, mask */
#define ROBERTA                                                  \
    {                                                            \
        "<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>" \
    }

const gn__spm_family gn__spm_families[] = {
    {.name = "T5Tokenizer",
     .model_types = " t5 mt5 switch_transformers ",
     .type = GN__SPM_UNIGRAM,
     .named = {[GN__SPM_EOS] = "</s>", [GN__SPM_UNK] = "<unk>", [GN__SPM_PAD] = "<pad>"},
     .last = extra_last,
     .unknown = GN__SPM_UNK_FIXED,
     .unk = 2,
     .normalizers = "charsmap",
     .pre_tokenizers = "words always",
     .single = "A eos_token"},
    {.name = "XLMRobertaTokenizer",
     .model_types = " xlm-roberta xmod ",
     .type = GN__SPM_UNIGRAM,
     .named = ROBERTA,
     .first = roberta_first,
     .skipped = 3,
     .last = mask_last,
     .unknown = GN__SPM_UNK_FIXED,
     .unk = 3,
     .normalizers = "charsmap",
     .pre_tokenizers = "words always-or-never",
     .single = "bos_token A eos_token"},
    {.name = "CamembertTokenizer",
     .model_types = " camembert ",
     .type = GN__SPM_UNIGRAM,
     .named = ROBERTA,
     .mask_lstrip = true,
     .first = camembert_first,
     .skipped = 1,
     .last = mask_last,
     .unknown = GN__SPM_UNK_NAMED,
     .normalizers = "charsmap",
     .pre_tokenizers = "words always-or-never",
     .single = "bos_token A eos_token"},
    {.name = "MBartTokenizer",
     .model_types = " mbart ",
     .type = GN__SPM_UNIGRAM,
     .named = ROBERTA,
     .mask_lstrip = true,
     .first = roberta_first,
     .skipped = 3,
     .last = mbart_last,
     .unknown = GN__SPM_UNK_FIXED,
     .unk = 3,
     .pre_tokenizers = "words always",
     .single = "A eos_token src_lang"},
    {.name = "MBart50Tokenizer",
     .model_types = " mbart50 ",
     .type = GN__SPM_UNIGRAM,
     .named = {[GN__SPM_EOS] = "</s>",
               [GN__SPM_UNK] = "<unk>",
               [GN__SPM_SEP] = "</s>",
               [GN__SPM_PAD] = "<pad>",
               [GN__SPM_CLS] = "<s>",
               [GN__SPM_MASK] = "<mask>"},
     .mask_lstrip = true,
     .first = mbart50_first,
     .skipped = 3,
     .last = mbart50_last,
     .unknown = GN__SPM_UNK_FIXED,
     .unk = 3,
     .normalizers = "charsmap one-space",
     .pre_tokenizers = "runs always",
     .single = "src_lang A eos_token"},
    {.name = "AlbertTokenizer",
     .model_types = " albert yoso ",
     .type = GN__SPM_UNIGRAM,
     .named = {"[CLS]", "[SEP]", "<unk>", "[SEP]", "<pad>", "[CLS]", "[MASK]"},
     .unknown = GN__SPM_UNK_FIXED,
     .unk = 1,
     .normalizers = "quotes keep_accents!nfkd keep_accents!accents do_lower_case+lower charsmap",
     .pre_tokenizers = "words always-or-never",
     .single = "cls_token A sep_token"},
    {.name = "XLNetTokenizer",
     .model_types = " xlnet ",
     .type = GN__SPM_UNIGRAM,
     .named = {"<s>", "</s>", "<unk>", "<sep>", "<pad>", "<cls>", "<mask>"},
     .mask_lstrip = true,
     .unknown = GN__SPM_UNK_TRAINER,
     .normalizers = "quotes nfkd accents do_lower_case?lower charsmap",
     .pre_tokenizers = "words always",
     .single = "A sep_token cls_token"},
    {.name = "DebertaV2Tokenizer",
     .model_types = " deberta-v2 ",
     .type = GN__SPM_UNIGRAM,
     .named = {"[CLS]", "[SEP]", "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"},
     .unknown = GN__SPM_UNK_SCORELESS_OR_TRAINER,
     .normalizers = "do_lower_case?lower blanks nfc strip-right",
     .pre_tokenizers = "split_by_punct?punctuation runs always-or-first",
     .single = "cls_token A sep_token"},
    {.name = "BigBirdTokenizer",
     .model_types = " big_bird ",
     .type = GN__SPM_UNIGRAM,
     .named = {"<s>", "</s>", "<unk>", "[SEP]", "<pad>", "[CLS]", "[MASK]"},
     .mask_lstrip = true,
     .unknown = GN__SPM_UNK_SCORELESS_OR_100,
     .normalizers = "one-bar",
     .pre_tokenizers = "runs always-or-never",
     .single = "cls_token A sep_token"},
    {.name = "PegasusTokenizer",
     .model_types = " pegasus ",
     .type = GN__SPM_UNIGRAM,
     .named = {[GN__SPM_EOS] = "</s>",
               [GN__SPM_UNK] = "<unk>",
               [GN__SPM_PAD] = "<pad>",
               [GN__SPM_MASK] = "<mask_2>"},
     .first = pegasus_first,
     .skipped = 2,
     .unknown = GN__SPM_UNK_SCORELESS,
     .unk = 1,
     .normalizers = "charsmap-or-newline one-space",
     .pre_tokenizers = "runs always",
     .single = "A eos_token"},
    {.name = "LlamaTokenizer",
     .model_types = " llama ",
     .type = GN__SPM_BPE,
     .named = {[GN__SPM_BOS] = "<s>", [GN__SPM_EOS] = "</s>", [GN__SPM_UNK] = "<unk>"},
     .pre_tokenizers = "whole llama"},
    {.name = "GemmaTokenizer",
     .model_types = " gemma gemma2 gemma3 gemma3_text ",
     .type = GN__SPM_BPE,
     .named = {[GN__SPM_BOS] = "<bos>",
               [GN__SPM_EOS] = "<eos>",
               [GN__SPM_UNK] = "<unk>",
               [GN__SPM_PAD] = "<pad>",
               [GN__SPM_MASK] = "<mask>"},
     .normalizers = "bars",
     .pre_tokenizers = "after-spaces"},
};
const size_t gn__spm_family_count = sizeof gn__spm_families / sizeof *gn__spm_families;
