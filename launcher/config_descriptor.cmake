# cmake -DINPUT=descriptors.bin -DOUTPUT=descriptors.cc -P config_descriptor.cmake
# Turns a serialized FileDescriptorSet into a source that defines ConfigDescriptorSet().
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)"
  "\\1\n" bytes "${bytes}")
file(WRITE ${OUTPUT} "// Generated from the .proto files.
#include \"launcher/config_docs.h\"
namespace trestle {
namespace {
constexpr unsigned char kBytes[] = {
${bytes}};
}
std::span<const unsigned char> ConfigDescriptorSet() { return kBytes; }
}
")
