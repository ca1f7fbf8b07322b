"""Banned words: what may reach no decision of core, nodes and sim (design, section 5), and what
node code may not wait with (section 4)."""

import re
from dataclasses import dataclass

from source import matching

_DETERMINISTIC = ("core/", "nodes/", "sim/")
_TESTS_THAT_MAY_WAIT = ("tests/process/", "tests/conformance/", "tests/net/")


@dataclass
class Ban:
    rule: str
    pattern: re.Pattern
    advice: str
    folders: tuple = _DETERMINISTIC
    but: tuple = ()
    strings: bool = False  # look into string literals too


def _ban(rule, pattern, advice, **more):
    return Ban(rule, re.compile(pattern, re.M), advice, **more)


_THREADS = (r"\bstd::(?:jthread|thread|(?:shared_|recursive_|timed_)*mutex|condition_variable\w*"
            r"|atomic\w*|async|future|promise|packaged_task|call_once|once_flag|barrier|latch"
            r"|(?:counting|binary)_semaphore|this_thread|stop_token)\b"
            r"|\bthread_local\b|\bpthread_\w+|\bthread_pool\b"
            r"|#\s*include\s*<(?:thread|mutex|shared_mutex|atomic|condition_variable|future)>")
_SLEEPS = r"\bthis_thread::sleep_\w+|\b(?:usleep|nanosleep)\s*\(|(?<![\w.>:])::sleep\s*\("
_SYSTEM = (r"#\s*include\s*<(?:(?:unistd|fcntl|poll|signal|time|sys/\w+|netinet/\w+|arpa/\w+"
           r"|linux/\w+)\.h|filesystem|fstream|iostream|csignal|ctime)>")
_CLOCKS = (r"\b(?:system|steady|high_resolution|utc|tai|gps|file)_clock\b"
           r"|\b(?:steady|system|high_resolution|deadline)_timer\b"
           r"|(?<![\w.>])(?:gettimeofday|clock_gettime|ftime|localtime\w*|gmtime\w*)\s*\("
           r"|\bstd::(?:time|clock)\s*\(|(?<![\w.>:])time\s*\(\s*(?:nullptr|NULL|0|&)"
           r"|\b__rdtsc\b|\b__(?:DATE|TIME)__")
_RANDOM = (r"\brandom_device\b|\bstd::\w+_distribution\b|\bmt19937\w*|\bdefault_random_engine\b"
           r"|(?<![\w.>:])(?:std::)?s?rand(?:_r)?\s*\(|(?<![\w.>])(?:::)?getrandom\s*\("
           r"|\bstd::(?:shuffle|sample)\b")
_LOCALE = (r"\bstd::locale\b|\bsetlocale\b|\bstd::(?:stringstream|ostringstream|istringstream)\b"
           r"|(?<![\w.>])(?:std::)?(?:isalpha|isalnum|isdigit|isspace|isupper|islower|ispunct"
           r"|isprint|isxdigit|tolower|toupper|strcoll|strftime)\s*\(")
_ADDRESS = (r"\bstd::hash\b|\bu?intptr_t\b|\bowner_before\b|\bfmt::ptr\b"
            r"|\bstd::(?:multi)?(?:map|set)<\s*(?:const\s+)?[\w:]+(?:<[^<>]*>)?\s*(?:const\s*)?\*")

BANS = [
    _ban("clock", _CLOCKS, "take the time from the env's clock"),
    _ban("clock", _CLOCKS, "tests step a simulated clock", folders=("tests/",),
         but=_TESTS_THAT_MAY_WAIT),
    _ban("sleep", _SLEEPS, "wait on the env's clock", folders=_DETERMINISTIC + ("net/", "tests/"),
         but=("tests/process/",)),
    _ban("random", _RANDOM, "draw from dogfs::Random", folders=_DETERMINISTIC + ("tests/",)),
    _ban("random", r"/dev/u?random", "draw from dogfs::Random", strings=True),
    _ban("thread", _THREADS, "one thread runs a node; offload through the env's compute"),
    _ban("system", _SYSTEM, "reach disks, sockets and the terminal through the env"),
    _ban("environment", r"\b(?:secure_)?getenv\b|\benviron\b", "take options as parameters"),
    _ban("hash order", r"\bunordered_(?:multi)?(?:map|set)\b",
         "use std::map or a sorted vector: iteration order must be the same everywhere"),
    _ban("address", _ADDRESS, "order and print by id: addresses differ from run to run"),
    _ban("address", r"%p\b|\{\w*:[-<>^#+ 0-9]*p\}", "print an id, not an address", strings=True),
    _ban("locale", _LOCALE, "compare bytes and format with fmt"),
    _ban("float", r"\b(?:float|double)\b", "decide with integers (numerator, denominator)",
         folders=("core/", "nodes/")),
    _ban("world", r"(?i)\bis_?(?:in_?)?simulat(?:ed|or|ion)\b|\bin_?simulat(?:or|ion)\b",
         "no code asks which world it is in; put the difference behind the env",
         folders=("core/", "nodes/", "net/")),
    _ban("raw waiting", r"\bco_spawn\b|\bawaitable_operators\b|\bmake_parallel_group\b"
         r"|\bcancellation_signal\b|\basio::detached\b",
         "wait with Task, nursery, Deadline and Event (core/env)",
         folders=_DETERMINISTIC + ("net/", "tools/"), but=("core/env/",)),
    _ban("exception", r"\bthrow\b(?!\s*;)", "return an Error",
         folders=("core/", "nodes/", "sim/", "net/"), but=("core/env/",)),
    _ban("assert", r"(?<![\w.>:])assert\s*\(", "use CHECK, which is on in every build",
         folders=_DETERMINISTIC + ("net/", "tools/")),
]

_COROUTINE_CODE = _DETERMINISTIC + ("net/", "tools/")
_LAMBDA = re.compile(r"\[([^\[\]]+)\]\s*(?:\([^()]*(?:\([^()]*\)[^()]*)*\)\s*)?(?:mutable\s*)?"
                     r"(?:noexcept\s*)?->\s*(?:[\w:]+::)?(?:Task|awaitable)\s*<")
_RETURNS_TASK = re.compile(r"(?<![\w>])(?:[\w:]+::)?(?:Task|awaitable)\s*<")
_BORROWED = re.compile(r"\b(?:string_view|ByteView)\b|\bspan\s*<|\bconst\s+[\w:<>, ]+&|&&")


def check_words(source):
    """(rule, line, found, advice) for each banned word."""
    if not source.is_cpp:
        return
    for ban in BANS:
        if not source.path.startswith(ban.folders) or source.path.startswith(ban.but or ("//",)):
            continue
        text = source.text if ban.strings else source.code
        for match in ban.pattern.finditer(text):
            if ban.strings and _in_comment(source, match):
                continue
            yield ban.rule, source.line_at(match.start()), match.group(0).strip(), ban.advice


def _in_comment(source, match):
    """Whether all of the match is blanked and no quote opens before it on its line."""
    if source.code[match.start() : match.end()].strip():
        return False
    line_start = source.text.rfind("\n", 0, match.start()) + 1
    return source.code[line_start : match.start()].count('"') % 2 == 0


def check_coroutines(source):
    """Capturing coroutine lambdas, and coroutine parameters that are views or const references:
    both outlive what they point to."""
    if not source.is_cpp or not source.path.startswith(_COROUTINE_CODE):
        return
    code = source.code
    for match in _LAMBDA.finditer(code):
        brace = code.find("{", match.end())
        body = code[brace : matching(code, brace)] if brace >= 0 else ""
        if re.search(r"\bco_(?:await|return|yield)\b", body):
            yield source.line_at(match.start()), f"a coroutine lambda that captures " \
                f"[{match.group(1)}]", "its captures die with the lambda: pass parameters"
    for match in _RETURNS_TASK.finditer(code):
        yield from _parameters(source, code, match)


def _parameters(source, code, match):
    close = matching(code, match.end() - 1, "<>")
    heading = re.compile(r"\s+(?:[\w:]+::)?(\w+)\s*\(").match(code, close + 1)
    if close < 0 or not heading:
        return
    end = matching(code, heading.end() - 1, "()")
    borrowed = _BORROWED.search(code, heading.end(), end)
    if borrowed:
        yield source.line_at(borrowed.start()), \
            f"coroutine {heading.group(1)} takes {borrowed.group(0).strip()}", \
            "coroutine parameters are values (a Buffer, a string): views dangle"


def check_proto(source):
    if source.path.endswith(".proto"):
        for match in re.finditer(r"\bmap\s*<", source.code):
            yield source.line_at(match.start()), "map<>", \
                "its byte order is not stable: use a repeated message, sorted"
