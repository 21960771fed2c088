// rival-temporal: a Temporal server with its SQL store on SQLite, and a worker with a client that measures runs on it. They are two processes, as they would be.
package main

import (
	"fmt"
	"os"
)

func main() {
	var err error
	switch {
	case len(os.Args) == 4 && os.Args[1] == "serve":
		err = serve(os.Args[2], os.Args[3])
	case len(os.Args) == 3 && os.Args[1] == "drive":
		err = drive(os.Args[2])
	default:
		err = fmt.Errorf("usage: rival-temporal serve PORT DATABASE | drive HOST:PORT")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
