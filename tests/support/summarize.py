#!/usr/bin/env python3
"""summarize.py BUILDS REPORT... reads the JUnit reports that scripts/test has ctest write, one a build,
named after it. Prints what failed (with the end of its output) and what was skipped and why; the last
line is "N passed, N failed, N skipped". Exit code: 0 only if something passed and nothing failed.

A test `whole.ROOM.HALF` is a GoogleTest program with many tests: they count by its own report,
BUILDS/<build>/gtest/whole.ROOM.HALF.xml. Without one, or where it names no failure although the
program failed, the program itself counts as one that failed."""
import os
import re
import sys
import xml.etree.ElementTree as ElementTree


class Summary:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, 0, 0

    def skip(self, build, name, reason):
        self.skipped += 1
        print(f'skipped ({build}): {name}: {reason or "no reason given"}')

    def fail(self, build, name, output):
        self.failed += 1
        print(f'FAILED ({build}): {name}', *output.splitlines()[-60:], sep='\n    ')

    def add_program(self, build, path):
        """Adds what a GoogleTest program reports; returns whether it reports a failure."""
        failed = False
        for case in ElementTree.parse(path).getroot().iter('testcase'):
            name = f'{case.get("classname")}.{case.get("name")}'
            failures, skipped = case.findall('failure'), case.find('skipped')
            if failures:
                failed = True
                self.fail(build, name, '\n'.join(f.text or '' for f in failures))
            elif skipped is not None or case.get('status') == 'notrun':
                text = '' if skipped is None else re.sub(r'^\S+:\d+\s*', '', skipped.text or '')
                self.skip(build, name, ' '.join(text.split()))
            else:
                self.passed += 1
        return failed

    def add_case(self, build, case, program):
        name, status = case.get('name'), case.get('status')
        output = (case.findtext('system-out') or '').strip()
        succeeded = status == 'run' and case.find('failure') is None
        if name.startswith('whole.'):
            reported = os.path.exists(program) and self.add_program(build, program)
            if not os.path.exists(program) or not (succeeded or reported):
                self.fail(build, name, output)
        elif succeeded:
            self.passed += 1
        elif status in ('disabled', 'notrun') and not name.endswith('_NOT_BUILT'):
            # GoogleTest prints "file:line: Skipped", then the text given to GTEST_SKIP().
            match = re.search(r': Skipped\n(.*?)(?:\n\[|\n\n|\Z)', output, re.DOTALL)
            self.skip(build, name, ' '.join(match.group(1).split()) if match else status)
        else:
            self.fail(build, name, output)


def main(builds, *reports):
    summary = Summary()
    for path in reports:
        build = os.path.splitext(os.path.basename(path))[0]
        for case in ElementTree.parse(path).getroot().iter('testcase'):
            summary.add_case(build, case, os.path.join(builds, build, 'gtest', case.get('name') + '.xml'))
    print(f'{summary.passed} passed, {summary.failed} failed, {summary.skipped} skipped')
    return 0 if summary.passed and not summary.failed else 1


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
