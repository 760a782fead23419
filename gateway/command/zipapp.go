package command

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"shannot-gateway/approvals/render"
)

// zipStart is what a zip archive's first record begins with (APPNOTE.TXT, 4.3.7).
const zipStart = "PK\x03\x04"

// isZip reports whether a text is an archive, as zipapp makes them: it may begin with the line that names an interpreter.
func isZip(text string) bool {
	if strings.HasPrefix(text, "#!") {
		_, text, _ = strings.Cut(text, "\n")
	}
	return strings.HasPrefix(text, zipStart)
}

const (
	// maxMembers is how many files and directories an archive may have.
	maxMembers = 4096
	// maxMemberName is the longest name of one, in bytes.
	maxMemberName = 1024
	// mainMember is what Python starts of an archive.
	mainMember = "__main__.py"
)

// member is a file of an archive.
type member struct {
	name, content string
}

// zipScript returns a zip application (https://docs.python.org/3/library/zipapp.html) as a script that a human can read: the
// names, the sizes and the digests of its files, then the files, and what starts them. Text stands there as it is, and what is
// none in base64. The script makes an archive of just these files in the session's scratch and runs that as python3 runs an
// archive, so what runs is what was shown: the bytes that were sent are read by nobody but this function.
//
// The error says in words why an archive is not taken. Neither the files together nor the script have more than limit bytes.
func zipScript(archive string, limit int64) (string, error) {
	members, err := unzip(archive, limit)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	fmt.Fprintf(&out, "# A zip application of %d bytes, SHA-256 %x.\n", len(archive), sha256.Sum256([]byte(archive)))
	out.WriteString("# The gateway has unpacked it: what follows is its files, as they run, and at the end what starts __main__.py.\n#\n")
	fmt.Fprintf(&out, "# %9s  %-64s  name\n", "bytes", "SHA-256")
	for _, m := range members {
		kind := ""
		if !isText(m.content) {
			kind = "  (no text: in base64)"
		}
		fmt.Fprintf(&out, "# %9d  %x  %s%s\n", len(m.content), sha256.Sum256([]byte(m.content)), m.name, kind)
	}
	out.WriteString("\n_files = {}\n")
	for _, m := range members {
		fmt.Fprintf(&out, "\n# %s\n_files[%s] = ", m.name, quoted(m.name))
		if isText(m.content) {
			out.WriteString(literal(m.content) + "\n")
		} else {
			out.WriteString(encoded(m.content))
		}
		if int64(out.Len()) > limit {
			return "", unpackedTooLarge(limit)
		}
	}
	out.WriteString(zipStarter)
	if int64(out.Len()) > limit {
		return "", unpackedTooLarge(limit)
	}
	return out.String(), nil
}

// zipStarter ends the script of an archive. It stores the files as they are, since reading them is faster so, and leaves no
// name of its own to __main__.py. _run_module_as_main is what python3 ARCHIVE calls.
const zipStarter = `

def _start(files):
    import atexit, shutil, sys, tempfile, zipfile, zipimport
    directory = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, directory, True)
    path = directory + "/app.pyz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)

    class Importer(zipimport.zipimporter):
        # zipimport compiles a module once for its name and once for its code.
        def _file(self, module):
            for end in "/__init__.py", ".py":
                name = self.prefix + module.rpartition(".")[2] + end
                if name in files:
                    return name
            return None

        def get_filename(self, module):
            name = self._file(module)
            return super().get_filename(module) if name is None else path + "/" + name

        def get_code(self, module):
            name = self._file(module)
            if name is None:
                return super().get_code(module)
            return compile(files[name], path + "/" + name, "exec", dont_inherit=True)

    def hook(place):
        if place != path and not place.startswith(path + "/"):
            raise ImportError
        return Importer(place)

    sys.path_hooks.insert(0, hook)
    sys.argv[0] = path
    sys.path[0] = path
    from runpy import _run_module_as_main
    return _run_module_as_main


if __name__ == "__main__":
    _files = _start(_files)
    del _start
    globals().pop("_files")("__main__", False)
`

// unpackedTooLarge says that the files of an archive are too large.
func unpackedTooLarge(limit int64) error {
	return fmt.Errorf("the zip archive holds more than %d bytes as a human would read it, which is the limit of a script; "+
		"have it on the target and run it from there, or take out what it does not need", limit)
}

// unzip returns the files of an archive, by name. limit bounds how many bytes they have together, whatever the archive claims.
func unzip(archive string, limit int64) ([]member, error) {
	z, err := zip.NewReader(strings.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, fmt.Errorf("the zip archive cannot be read: %w", err)
	}
	if len(z.File) > maxMembers {
		return nil, fmt.Errorf("the zip archive has %d members, and at most %d can be shown", len(z.File), maxMembers)
	}
	var members []member
	left := limit
	for _, f := range z.File {
		if err := checkMember(f); err != nil {
			return nil, fmt.Errorf("the zip archive has a member %q %w", f.Name, err)
		}
		if strings.HasSuffix(f.Name, "/") {
			continue // the names of files have their directories
		}
		content, err := readMember(f, left)
		switch {
		case errors.Is(err, errLeft):
			return nil, unpackedTooLarge(limit)
		case err != nil:
			return nil, err
		}
		left -= int64(len(content))
		members = append(members, member{f.Name, content})
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	for i, m := range members[min(1, len(members)):] {
		if before := members[i].name; m.name == before {
			return nil, fmt.Errorf("the zip archive has two members %q", m.name)
		}
	}
	if !slices.ContainsFunc(members, func(m member) bool { return m.name == mainMember }) {
		return nil, errors.New("the zip archive has no __main__.py, which is what Python starts; python3 -m zipapp DIRECTORY -m MODULE:FUNCTION makes one that has")
	}
	return members, nil
}

// checkMember refuses what cannot be shown or imported. Its errors continue "a member NAME …".
func checkMember(f *zip.File) error {
	name := strings.TrimSuffix(f.Name, "/")
	switch mode := f.Mode(); {
	case len(f.Name) > maxMemberName:
		return fmt.Errorf("with a name of more than %d bytes", maxMemberName)
	case !utf8.ValidString(name) || render.Line(name).String() != name:
		return errors.New("whose name is not printable")
	case name == "" || path.IsAbs(name) || path.Clean(name) != name || name == ".." || strings.HasPrefix(name, "../") || strings.ContainsAny(name, `\:`):
		return errors.New("whose name does not lead to a file below the archive")
	case !mode.IsRegular() && !mode.IsDir():
		return errors.New("that is neither a file nor a directory")
	case mode.IsDir() != strings.HasSuffix(f.Name, "/"), mode.IsDir() && f.UncompressedSize64 > 0:
		return errors.New("that is a directory by its mode or its name alone")
	case f.Flags&1 != 0:
		return errors.New("that is encrypted")
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return errors.New("of a compression that Python does not import from: only stored and deflated ones are")
	}
	return nil
}

// errLeft says that a member has more than is left.
var errLeft = errors.New("too large")

// readMember returns a file's content, of at most limit bytes: errLeft. Its checksum and its length are those that it claims.
func readMember(f *zip.File, limit int64) (string, error) {
	r, err := f.Open()
	if err != nil {
		return "", fmt.Errorf("the zip archive's member %q cannot be read: %w", f.Name, err)
	}
	defer func() { _ = r.Close() }()
	content, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case int64(len(content)) > limit:
		return "", errLeft
	case err == nil && crc32.ChecksumIEEE(content) != f.CRC32: // a checksum of nothing is not looked at by the reader
		err = zip.ErrChecksum
	}
	if err != nil {
		return "", fmt.Errorf("the zip archive's member %q cannot be read: %w", f.Name, err)
	}
	return string(content), nil
}

// isText reports whether content can stand in a script as it is.
func isText(content string) bool {
	return utf8.ValidString(content) && !strings.ContainsRune(content, 0)
}

// literal is text as Python's bytes literal would be, were it of text alone: what Python reads of it is the text, to the byte.
// Where it can be, it is raw, so that a human reads what the file holds.
func literal(text string) string {
	for _, quotes := range []string{`"""`, "'''"} {
		if !strings.Contains(text, quotes) && !strings.HasSuffix(text, quotes[:1]) && !strings.HasSuffix(text, `\`) && !strings.Contains(text, "\r") {
			return "r" + quotes + text + quotes + ".encode()"
		}
	}
	return `"""` + strings.NewReplacer(`\`, `\\`, `"""`, `\"\"\"`, "\r", `\r`).Replace(strings.TrimSuffix(text, `"`)) +
		strings.Repeat(`\"`, len(text)-len(strings.TrimSuffix(text, `"`))) + `""".encode()`
}

// quoted is a printable name as a literal of Python.
func quoted(name string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// encoded is an expression of Python for content, in lines of base64.
func encoded(content string) string {
	const width = 57 // bytes, 76 digits
	var out strings.Builder
	out.WriteString("__import__(\"base64\").b64decode(\"\"\"\n")
	for piece := range slices.Chunk([]byte(content), width) {
		out.WriteString(base64.StdEncoding.EncodeToString(piece) + "\n")
	}
	out.WriteString("\"\"\")\n")
	return out.String()
}
