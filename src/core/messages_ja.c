/* Japanese for the library's messages. The English format string is the key; a test holds every
 * translation's conversions against its key's, and lint holds the table against the sources. */
#include "core/core.h"

typedef struct gn__message {
    const char *en, *ja;
} gn__message;

static const gn__message messages[] = {
    {"out of memory (%zu bytes asked for)", "メモリが足りません(%zu バイトを要求)"},
    {"stopped at your request", "指示により中止しました"},
    {"cannot open %s: %s", "%s を開けません: %s"},
    {"cannot read %s: %s", "%s を読めません: %s"},
    {"cannot write %s: %s", "%s に書き込めません: %s"},
    {"cannot make the folder %s: %s", "フォルダー %s を作れません: %s"},
    {"%s is a folder, not a file", "%s はファイルではなくフォルダーです"},
    {"%s is larger than the %zu bytes allowed", "%s は上限の %zu バイトを超えています"},
    {"a matrix of %zu rows and %zu columns does not fit in memory",
     "%zu 行 %zu 列の行列はメモリに収まりません"},
    {"cannot start a thread: %s", "スレッドを開始できません: %s"},
    {"cannot set up SHA-256", "SHA-256 を準備できません"},
};

const char *gn__translate(gn_lang lang, const char *english)
{
    if (lang != GN_LANG_JA) return english;
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
        if (strcmp(messages[i].en, english) == 0) return messages[i].ja;
    return english;
}
