#!/usr/bin/env python3
"""Reads the JUnit reports that scripts/test has ctest write, one a build. Prints what failed (with the end
of its output) and what was skipped and why; the last line is "N passed, N failed, N skipped".
Exit code: 0 only if something passed and nothing failed."""
import os
import re
import sys
import xml.etree.ElementTree as ElementTree


def output_of(case):
    return (case.findtext('system-out') or '').strip()


def skip_reason(case):
    # GoogleTest prints "file:line: Skipped", then the text given to GTEST_SKIP().
    match = re.search(r': Skipped\n(.*?)(?:\n\[|\n\n|\Z)', output_of(case), re.DOTALL)
    if match and match.group(1).strip():
        return ' '.join(match.group(1).split())
    return 'disabled' if case.get('status') == 'disabled' else 'no reason given'


def main(paths):
    passed, failed, skipped = 0, 0, 0
    for path in paths:
        build = os.path.splitext(os.path.basename(path))[0]
        for case in ElementTree.parse(path).getroot().iter('testcase'):
            name, status = case.get('name'), case.get('status')
            if status == 'run' and case.find('failure') is None:
                passed += 1
            elif status in ('disabled', 'notrun') and not name.endswith('_NOT_BUILT'):
                skipped += 1
                print(f'skipped ({build}): {name}: {skip_reason(case)}')
            else:
                failed += 1
                tail = output_of(case).splitlines()[-60:]
                print(f'FAILED ({build}): {name}', *tail, sep='\n    ')
    print(f'{passed} passed, {failed} failed, {skipped} skipped')
    return 0 if passed and not failed else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
