// A shared library that a test puts where a plugin should be.
extern "C" __attribute__((visibility("default"))) int trestle_absent_library() { return 0; }
