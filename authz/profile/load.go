package profile

import (
	"embed"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed presets/*.yaml
var presetFiles embed.FS

// Load reads, merges, checks and compiles profiles: the presets if they are asked
// for, and those of the files. A file may hold several documents, and a folder
// stands for its .yaml and .yml files, sorted. A file's profile replaces the
// preset of its name, and may extend any preset, whether that is served or not.
// The error, if any, is of type Problems and names everything that is wrong; then
// there is no Set.
func Load(presets bool, files ...string) (*Set, error) {
	var l loader
	l.presets = l.readPresets()
	l.files = l.readFiles(files)
	served := maps.Clone(l.files)
	if presets {
		for name, doc := range l.presets {
			if served[name] == nil {
				served[name] = doc
			}
		}
	}
	var profiles []*Profile
	hosts := map[*Profile][]place{}
	for _, name := range slices.Sorted(maps.Keys(served)) {
		t := l.resolve(served[name], nil)
		if t == nil {
			continue
		}
		p := compile(t, &l.problems)
		profiles = append(profiles, p)
		if list := t.get("hosts"); list != nil {
			for _, host := range list.items {
				hosts[p] = append(hosts[p], host.at)
			}
		}
	}
	set := newSet(profiles, hosts, &l.problems)
	if err := l.problems.err(); err != nil {
		return nil, err
	}
	return set, nil
}

// loader resolves which document builds on which.
type loader struct {
	presets, files map[string]*source
	problems       Problems
}

// source is a document as it was written.
type source struct {
	tree   *tree
	preset bool
}

func (l *loader) readPresets() map[string]*source {
	const folder = "presets"
	sources := map[string]*source{}
	entries, err := presetFiles.ReadDir(folder)
	if err != nil {
		l.problems.add(place{file: folder}, "", "reading the presets: %v", err)
	}
	for _, entry := range entries {
		name := path.Join(folder, entry.Name())
		data, err := presetFiles.ReadFile(name)
		if err != nil {
			l.problems.add(place{file: name}, "", "reading the preset: %v", err)
			continue
		}
		l.collect(sources, parseTrees(name, data, &l.problems), true)
	}
	return sources
}

func (l *loader) readFiles(files []string) map[string]*source {
	sources := map[string]*source{}
	for _, file := range l.expand(files) {
		data, err := os.ReadFile(file)
		if err != nil {
			l.problems.add(place{file: file}, "", "cannot be read: %v", err)
			continue
		}
		l.collect(sources, parseTrees(file, data, &l.problems), false)
	}
	return sources
}

// expand replaces folders by their profile files.
func (l *loader) expand(files []string) []string {
	var all []string
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || !info.IsDir() {
			all = append(all, file) // an error will be met again, and reported, when it is read
			continue
		}
		entries, err := os.ReadDir(file) // sorted
		if err != nil {
			l.problems.add(place{file: file}, "", "cannot be read: %v", err)
		}
		for _, entry := range entries {
			if ext := filepath.Ext(entry.Name()); !entry.IsDir() && (ext == ".yaml" || ext == ".yml") {
				all = append(all, filepath.Join(file, entry.Name()))
			}
		}
	}
	return all
}

func (l *loader) collect(into map[string]*source, trees []*tree, preset bool) {
	for _, t := range trees {
		name := t.text("profile")
		at := t.at
		if value := t.get("profile"); value != nil {
			at = value.at
		}
		switch {
		case t.kind != mapTree:
			l.problems.add(at, "", "must be a map of fields, not %s", t.describe())
		case !isProfileName(name):
			l.problems.add(at, "profile", "%q is no name; use 1 to 63 lower-case letters, digits and -", name)
		case into[name] != nil:
			l.problems.add(at, "profile", "%q is also in %s:%d; name them apart", name, into[name].tree.at.file, into[name].tree.at.line)
		default:
			into[name] = &source{t, preset}
		}
	}
}

func isProfileName(name string) bool {
	return name != "" && len(name) <= 63 && name[0] != '-' && all(name, isNameByte)
}

// resolve lays a document over what it extends. It returns nil after reporting
// why it cannot.
func (l *loader) resolve(doc *source, above []*source) *tree {
	extends := doc.tree.get("extends")
	if extends == nil || extends.isNull() {
		return doc.tree
	}
	if slices.Contains(above, doc) {
		l.problems.add(extends.at, "extends", "goes round in a circle; one of the profiles must stand by itself")
		return nil
	}
	base, err := l.base(doc)
	if err != nil {
		l.problems.add(extends.at, "extends", "%v", err)
		return nil
	}
	under := l.resolve(base, append(above, doc))
	if under == nil {
		return nil
	}
	if base.tree.text("profile") != doc.tree.text("profile") {
		under = under.without("hosts", "description")
	}
	return merge(under, doc.tree)
}

func (l *loader) base(doc *source) (*source, error) {
	name, own := doc.tree.text("extends"), doc.tree.text("profile")
	if base := l.files[name]; base != nil && name != own {
		return base, nil
	}
	if base := l.presets[name]; base != nil && base != doc {
		return base, nil
	}
	if name == own {
		return nil, fmt.Errorf("%q names the profile itself, and no preset has that name", name)
	}
	known := slices.Concat(slices.Collect(maps.Keys(l.files)), slices.Collect(maps.Keys(l.presets)))
	return nil, fmt.Errorf("%q is not loaded; there are %s", name, strings.Join(sortedSet(known...), ", "))
}
