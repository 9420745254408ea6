// Go's os/exec for `aiospawn bench --peers`: up to COUNT children, WINDOW at a time, for no longer than SECONDS.
//
//	spawn PROGRAM COUNT SECONDS WINDOW none|pipe
//
// Prints one JSON object.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func number(text string) int64 {
	value, err := strconv.ParseInt(text, 10, 64)
	must(err)
	return value
}

func launch(program string, piped bool) {
	command := exec.Command(program)
	command.Stdin, command.Stderr = os.Stdin, os.Stderr
	if !piped {
		command.Stdout = os.Stdout
		must(command.Run())
		return
	}
	output, err := command.StdoutPipe()
	must(err)
	must(command.Start())
	_, err = io.ReadAll(output)
	must(err)
	must(command.Wait())
}

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: spawn PROGRAM COUNT SECONDS WINDOW none|pipe")
		os.Exit(2)
	}
	program, count, window, piped := os.Args[1], number(os.Args[2]), number(os.Args[4]), os.Args[5] == "pipe"
	seconds, err := strconv.ParseFloat(os.Args[3], 64)
	must(err)
	launch(program, piped)

	var taken, launched int64
	var workers sync.WaitGroup
	started := time.Now()
	limit := time.Duration(seconds * float64(time.Second))
	for worker := int64(0); worker < window; worker++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for time.Since(started) < limit && atomic.AddInt64(&taken, 1) <= count {
				launch(program, piped)
				atomic.AddInt64(&launched, 1)
			}
		}()
	}
	workers.Wait()
	elapsed := time.Since(started).Seconds()
	fmt.Printf(`{"launched": %d, "seconds": %f, "cut": %t, "per_s": %f, "mean_us": %f}`+"\n",
		launched, elapsed, launched < count, float64(launched)/elapsed, elapsed/float64(launched)*1e6)
}
