# Tells of the uncaught exceptions of one Python process, and which of the project's functions it entered.
# Run by a .pth file with RECORD, a folder that is made for one run. Python 3.8 and later.
import os
import sys
import time


def _start(record):
    settings = {"packages": []}
    try:
        with open(record + "/settings", encoding="utf-8") as file:
            for line in file.read().splitlines():
                name, _, value = line.partition(" ")
                if name == "package":
                    settings["packages"].append(tuple(value.split("\t")))
                else:
                    settings[name] = value
    except OSError:
        return
    project = settings["project"] + "/"
    script = settings["script"]
    packages = settings["packages"]
    foreign = ("/site-packages/", "/dist-packages/", "/node_modules/", "/.venv/", "/venv/", "/.tox/", "/.nox/")
    places = {}

    def place_of(file):
        """The path of a project's file relative to its top; None for any other file."""
        try:
            return places[file]
        except KeyError:
            pass
        found = None
        if file.startswith(project):
            if file != script and not any(part in file[len(project) - 1 :] for part in foreign):
                found = file[len(project) :]
        else:
            for part in foreign[:2]:
                _, mark, inner = file.rpartition(part)
                for name, top in packages if mark else ():
                    if inner == name or inner.startswith(name + "/"):
                        found = top + inner[len(name) :]
        if len(places) < 100000:
            places[file] = found
        return found

    def text(string):
        """JSON without the json module, which would be one more that the program finds loaded."""
        out = ['"']
        for char in string:
            code = ord(char)
            if " " <= char <= "~" and char not in '"\\':
                out.append(char)
            elif code < 0x10000:
                out.append("\\u%04x" % code)
            else:
                code -= 0x10000
                out.append("\\u%04x\\u%04x" % (0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF)))
        out.append('"')
        return "".join(out)

    # High, so that the numbers of the program's own files are what they would be. Opened before the program can look.
    path = record + "/" + os.urandom(12).hex() + ".jsonl"
    own = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    descriptor = own
    for number in (1000, 240, 60):
        try:
            descriptor = os.dup2(own, number, False)
            os.close(own)
            break
        except OSError:
            pass
    identity = os.fstat(descriptor)[1:3]

    def tell(line):
        data = (line + "\n").encode("ascii")
        try:
            if os.fstat(descriptor)[1:3] == identity:
                os.write(descriptor, data)
                return
        except OSError:
            pass
        # The program has closed what it did not open, as daemons do.
        again = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(again, data)
        finally:
            os.close(again)

    start = os.getcwd()
    own_file = sys._getframe().f_code.co_filename
    calls = [0]
    counted = [False]

    def name_of(kind):
        module = getattr(kind, "__module__", None)
        name = str(getattr(kind, "__qualname__", kind))
        return name if module in (None, "builtins", "__main__") else "%s.%s" % (module, name)

    def message_of(value):
        if isinstance(value, SyntaxError) and isinstance(value.msg, str):
            return value.msg
        try:
            return str(value)
        except BaseException:
            return "<exception str() failed>"

    def frame(function, file, line):
        if isinstance(file, str) and file != "" and file[0] not in "/<":
            file = os.path.normpath(start + "/" + file)
        if isinstance(file, str) and not file.startswith(project) and is_copy(file):
            file = project + place_of(file)
        return '{"function":%s,"file":%s,"line":%s}' % (
            "null" if function is None else text(function),
            text(file) if isinstance(file, str) else "null",
            line if isinstance(line, int) and line > 0 else "null",
        )

    def is_copy(file):
        """Whether it is the project's, installed, and as it is there."""
        place = place_of(file)
        if place is None:
            return False
        try:
            with open(file, "rb") as one, open(project + place, "rb") as other:
                return one.read() == other.read()
        except OSError:
            return False

    def is_raised_again(trace):
        """Whether the reproducer has raised here what came from somewhere else, or what it says came from there."""
        if trace.tb_next is None or trace.tb_frame.f_code.co_filename != script:
            return False
        behind = trace.tb_next.tb_frame
        # These have no caller any more once they have ended.
        is_generator = behind.f_code.co_flags & 0x2A0
        return not is_generator and behind.f_back is not trace.tb_frame

    def frames_of(value, trace):
        frames = []
        while trace is not None:
            code = trace.tb_frame.f_code
            if not code.co_filename.startswith("<frozen importlib") and code.co_filename != own_file:
                frames.append(frame(code.co_name, code.co_filename, trace.tb_lineno))
            if is_raised_again(trace):
                break
            trace = trace.tb_next
        if isinstance(value, SyntaxError):
            frames.append(frame(None, value.filename, value.lineno))
        frames.reverse()
        if len(frames) > 150:
            frames[120:-30] = []
        return "[" + ",".join(frames) + "]"

    def described(value, trace):
        return '"type":%s,"message":%s,"frames":%s' % (
            text(name_of(type(value))),
            text(message_of(value)[:65536]),
            frames_of(value, trace),
        )

    def causes_of(value):
        causes = []
        seen = {id(value)}
        while len(causes) < 10:
            if value.__cause__ is not None:
                value = value.__cause__
            elif value.__context__ is not None and not value.__suppress_context__:
                value = value.__context__
            else:
                break
            if id(value) in seen:
                break
            seen.add(id(value))
            causes.append("{" + described(value, value.__traceback__) + "}")
        return "[" + ",".join(causes) + "]"

    def tell_failure(value, trace):
        try:
            bases = [text(name_of(base)) for base in type(value).__mro__[1:-1]]
            tell(
                '{"runtime":"python","at":%d,"failure":{"pid":%d,%s,"bases":[%s],"causes":%s,"projectCalls":%s}}'
                % (
                    time.time_ns() // 1000,
                    os.getpid(),
                    described(value, trace),
                    ",".join(bases[:50]),
                    causes_of(value),
                    calls[0] if counted[0] else "null",
                )
            )
            if settings["thorough"] == "1":
                tell_meddling(value, trace)
        except BaseException:
            pass

    def tell_meddling(value, trace):
        names = {"__name__": "gocore_meddling"}
        path = os.path.dirname(own_file) + "/meddling.py"
        with open(path, encoding="utf-8") as file:
            exec(compile(file.read(), path, "exec"), names)
        found = names["meddling"]([trace], place_of, script)
        if found is not None:
            tell('{"meddling":%s}' % text(found))

    def tell_exit(code, at):
        """Somebody has asked for the end, at a frame."""
        frames = []
        while at is not None and len(frames) < 150:
            if at.f_code.co_filename != own_file:
                frames.append(frame(at.f_code.co_name, at.f_code.co_filename, at.f_lineno))
            at = at.f_back
        tell(
            '{"runtime":"python","at":%d,"failure":{"pid":%d,"type":"SystemExit","message":%s,"frames":[%s],'
            '"bases":["BaseException"],"causes":[],"projectCalls":%s}}'
            % (
                time.time_ns() // 1000,
                os.getpid(),
                text(str(int(code) if isinstance(code, bool) else code)[:65536]),
                ",".join(frames),
                calls[0] if counted[0] else "null",
            )
        )

    def watch_exits():
        """A `SystemExit` that is raised in another way stays untold: nobody is to be blamed for it, then."""
        before = sys.exit

        def exit(status=None, /):
            try:
                tell_exit(status, sys._getframe(1))
            except BaseException:
                pass
            before(status)

        sys.exit = exit

    watched = set()

    def watch_threads():
        threading = sys.modules.get("threading")
        if threading is None or "threading" in watched:
            return
        watched.add("threading")
        before = threading.excepthook

        def excepthook(args, /):
            if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
                tell_failure(args.exc_value, args.exc_traceback)
            before(args)

        threading.excepthook = excepthook

    def watch_runners():
        """Test runners catch what their tests raise."""
        result = getattr(sys.modules.get("unittest.result"), "TestResult", None)
        if result is not None and "unittest" not in watched:
            watched.add("unittest")
            for name in ("addError", "addFailure"):
                watch_result(result, name)
        report = getattr(sys.modules.get("_pytest.reports"), "TestReport", None)
        if report is not None and "pytest" not in watched:
            watched.add("pytest")
            watch_reports(report)

    def watch_result(result, name):
        before = getattr(result, name)

        def add(self, test, err):
            if err[1] is not None:
                tell_failure(err[1], err[2])
            return before(self, test, err)

        setattr(result, name, add)

    def watch_reports(report):
        before = report.from_item_and_call.__func__

        def from_item_and_call(cls, item, call):
            made = before(cls, item, call)
            try:
                expected = item.get_closest_marker("xfail") is not None or type(call.excinfo.value).__name__ == "XFailed"
                if made.outcome == "failed" and not expected:
                    tell_failure(call.excinfo.value, call.excinfo.tb)
            except BaseException:
                pass
            return made

        report.from_item_and_call = classmethod(from_item_and_call)

    def audit(event, args):
        # This one comes before whatever hook the program has put in place, and cannot be taken away.
        if event == "sys.excepthook":
            tell_failure(args[2], args[3])
        elif event in ("_thread.start_new_thread", "_thread.start_joinable_thread"):
            watch_threads()
        elif event == "import" and isinstance(args[0], str) and args[0].startswith(("_pytest.", "unittest.")):
            watch_runners()

    def is_function(code):
        return code.co_flags & 1 and (code.co_name[0] != "<" or code.co_name == "<lambda>")

    def is_import(frame):
        """Whether a file of the project is just being imported: what its own top level calls does not count."""
        for _ in range(1000):
            if frame is None:
                return False
            code = frame.f_code
            if code.co_name == "<module>" and place_of(code.co_filename) is not None:
                return True
            frame = frame.f_back
        return False

    traced = settings["trace"] == "1"
    lines = set()

    def tell_line(file, line):
        place = place_of(file)
        if place is not None and line is not None and (place, line) not in lines:
            lines.add((place, line))
            try:
                tell('{"line":[%s,%d]}' % (text(place), line))
            except BaseException:
                pass

    monitoring = getattr(sys, "monitoring", None)
    if monitoring is not None:
        try:
            monitoring.use_tool_id(4, "gocore")
            disable = monitoring.DISABLE

            def on_start(code, _):
                if place_of(code.co_filename) is None or not is_function(code):
                    return disable
                if is_import(sys._getframe(1)):
                    return None
                calls[0] += 1
                return disable

            def on_line(code, line):
                tell_line(code.co_filename, line)
                return disable

            monitoring.register_callback(4, monitoring.events.PY_START, on_start)
            wanted = monitoring.events.PY_START
            if traced:
                monitoring.register_callback(4, monitoring.events.LINE, on_line)
                wanted |= monitoring.events.LINE
            monitoring.set_events(4, wanted)
            counted[0] = True
        except Exception:
            pass
    else:
        # These do not say when a thread begins.
        import threading

        watch_threads()

        entries = {"call"}

        # It costs at every call, so that it ends with the first one that counts. Calls and comparisons would be seen in a
        # traceback when the stack is full.
        def on_call(frame, event, _):
            if calls[0]:
                sys.setprofile(None)
                return
            if event not in entries:
                return
            code = frame.f_code
            file = code.co_filename
            if (places[file] if file in places else place_of(file)) is None:
                return
            if is_function(code) and not is_import(frame):
                calls[0] = 1
                sys.setprofile(None)

        def on_trace(frame, event, _):
            if place_of(frame.f_code.co_filename) is None:
                return None
            if event == "line":
                tell_line(frame.f_code.co_filename, frame.f_lineno)
            return on_trace

        threading.setprofile(on_call)
        sys.setprofile(on_call)
        if traced:
            threading.settrace(on_trace)
            sys.settrace(on_trace)
        counted[0] = True

    tell('{"start":%d}' % os.getpid())
    watch_exits()
    import faulthandler

    # Of a crash, it writes the stack to the record.
    if not faulthandler.is_enabled():
        faulthandler.enable(file=descriptor, all_threads=False)
    sys.addaudithook(audit)
    if "results" in settings:
        names = {"__name__": "gocore_control"}
        path = os.path.dirname(own_file) + "/control.py"
        with open(path, encoding="utf-8") as file:
            exec(compile(file.read(), path, "exec"), names)
        names["install"](settings["results"], place_of, tell)


try:
    _start(RECORD)
except Exception:
    pass
