# cmake -DINPUT=x.sql -DFUNCTION=TaobaoSql -DOUTPUT=x.cc -P embed_sql.cmake
# Turns SQL into a source that defines FUNCTION() of launcher/prepare/sql_steps.h, so that the program needs
# no file beside it.
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)"
  "\\1\n" bytes "${bytes}")
file(WRITE ${OUTPUT} "// Generated from ${INPUT}.
#include \"launcher/prepare/sql_steps.h\"
namespace trestle {
namespace {
constexpr char kText[] = {
${bytes}};
}
std::string_view ${FUNCTION}() { return {kText, sizeof(kText)}; }
}
")
