"""A source file as the lint sees it: its lines, its code without comments and the contents of
strings, its includes, its functions. Reading is by regular expressions and brackets, not by a
parser: the tree is formatted by clang-format, which makes that exact enough."""

import re
from dataclasses import dataclass, field
from functools import cached_property

CPP = (".h", ".cc")

_LITERAL = re.compile(
    r"""//[^\n]*
      | /\*.*?\*/
      | R"(?P<fence>[^()\\\s]{0,16})\(.*?\)(?P=fence)"
      | "(?:\\.|[^"\\\n])*"
      | (?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'   # not the separator of 100'000
    """,
    re.S | re.X,
)
_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)
_SCOPE = re.compile(
    r"^(?:\[\[[^\]]*\]\]\s*)?(?:inline\s+)?(?:namespace|class|struct|union|enum|extern)\b"
)
_CONTROL = re.compile(r"^\W*(?:else\s+)?(?:if|for|while|switch|do|else|try|catch)\b")


@dataclass
class Function:
    """One function body: lines from the first of its heading to its closing brace."""

    name: str
    first_line: int
    last_line: int
    nesting: int  # of if, for, while, switch and try inside one another

    @property
    def length(self):
        return self.last_line - self.first_line + 1


@dataclass
class Include:
    line: int
    path: str
    system: bool  # written with < >


@dataclass
class _Open:
    """A brace that is open while functions are looked for."""

    kind: str  # scope, function, control, other
    heading: int = 0
    name: str = ""
    depth: int = 0
    deepest: int = 0


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


def _blank_literal(match):
    text = match.group(0)
    if text.startswith(("//", "/*")):
        return _blank(text)
    return text[0] + _blank(text[1:-1]) + text[-1]


@dataclass
class Source:
    path: str  # from the root of the tree, with /
    text: str
    machine_paths: tuple = ()  # absolute paths that must not stand in it
    _starts: list = field(default_factory=list, repr=False)

    @property
    def folder(self):
        return self.path.rpartition("/")[0]

    @property
    def is_cpp(self):
        return self.path.endswith(CPP)

    @cached_property
    def lines(self):
        return self.text.split("\n")

    @cached_property
    def code(self):
        """The text with comments and the insides of literals blanked, of the same length."""
        return _LITERAL.sub(_blank_literal, self.text)

    @cached_property
    def statements(self):
        """The code with preprocessor directives blanked too."""
        return _DIRECTIVE.sub(lambda m: _blank(m.group(0)), self.code)

    @cached_property
    def includes(self):
        found = []
        for match in _INCLUDE.finditer(self.text):
            at = match.start(1)
            if self.code[at] == self.text[at]:  # else it stands in a comment
                line = self.line_at(at)
                found.append(Include(line, match.group(2), match.group(1) == "<"))
        return found

    def line_at(self, offset):
        """The number, from 1, of the line that holds the offset."""
        if not self._starts:
            self._starts.extend(m.end() for m in re.finditer(r"\n", self.text))
        low, high = 0, len(self._starts)
        while low < high:
            middle = (low + high) // 2
            if self._starts[middle] <= offset:
                low = middle + 1
            else:
                high = middle
        return low + 1

    @cached_property
    def functions(self):
        return _find_functions(self)


def matching(code, start, brackets="{}"):
    """The offset of the bracket that closes the one at `start`, or -1."""
    depth = 0
    for i in range(start, len(code)):
        if code[i] == brackets[0]:
            depth += 1
        elif code[i] == brackets[1]:
            depth -= 1
            if depth == 0:
                return i
    return -1


def _without_label(heading):
    return re.sub(r"^\s*(?:(?:public|private|protected)\s*:\s*)+", "", heading).lstrip()


def _without_template(heading):
    """The heading without access labels and `template <...>` in front."""
    heading = _without_label(heading)
    while re.match(r"template\s*<", heading):
        close = matching(heading, heading.index("<"), "<>")
        if close < 0:
            break
        heading = heading[close + 1 :].lstrip()
    return heading


def _classify(code, brace, heading, inside):
    """What the brace opens, given the text since the last statement ended."""
    before = code[brace - 1] if brace else " "
    text = heading.strip()
    if before not in " \n" or text.endswith(("=", ",", "(", "return")):
        return "other"  # an initializer
    if inside == "scope":
        bare = _without_template(text)
        if _SCOPE.match(bare):
            return "scope"
        return "function" if "(" in bare else "other"
    if _CONTROL.match(text) and text.count("(") == text.count(")"):
        return "control"
    return "lambda" if re.search(r"\]\s*(?:\([^{}]*\)[^{}]*)?$", text) else "other"


def _name_of(heading):
    bare = _without_template(heading)
    match = re.search(r"([\w:~]+(?:\s*[^\s\w(]{1,3})?)\s*\(", bare)
    return match.group(1).strip() if match else "a function"


def _find_functions(source):
    code = source.statements
    found, stack = [], [_Open("scope")]
    start, parens = 0, 0  # where the present heading begins; open parentheses in it
    for match in re.finditer(r"[{}();]", code):
        at, mark = match.start(), match.group(0)
        if mark in "()":
            parens = max(0, parens + (1 if mark == "(" else -1))
        elif mark == ";":
            if parens == 0:
                start = at + 1
        elif mark == "{":
            heading = code[start:at]
            kind = "other" if parens and stack[-1].kind == "scope" else \
                _classify(code, at, heading, stack[-1].kind)
            stack.append(_opened(kind, heading, start, stack[-1]))
            if kind != "other" or stack[-2].kind != "scope":
                start, parens = at + 1, 0
        elif len(stack) > 1:
            closed = stack.pop()
            if closed.kind == "function":
                first = closed.heading
                found.append(Function(closed.name, source.line_at(first), source.line_at(at),
                                      closed.deepest))
            else:
                stack[-1].deepest = max(stack[-1].deepest, closed.deepest)
            if closed.kind != "other" or stack[-1].kind != "scope":
                start, parens = at + 1, 0
    return found


def _opened(kind, heading, start, outer):
    first = start + len(heading) - len(_without_label(heading))
    depth = outer.depth
    if kind in ("function", "lambda", "scope"):
        depth = 0
    elif kind == "control":
        depth += 1
    name = _name_of(heading.strip()) if kind == "function" else ""
    return _Open(kind, first, name, depth, depth)
