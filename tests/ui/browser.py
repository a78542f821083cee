"""Driving MLflow's pages in headless Chromium as a person does: reading links and clicking them."""

from __future__ import annotations

import shutil
import socket
import tempfile
from contextlib import contextmanager

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from cluster.tracking.ui import start_server, stop_server, wait_until_up

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync
--disable-background-networking --disable-component-update --disable-dev-shm-usage
--window-size=1600,1400"""
PATIENCE = 60  # seconds for a page on a busy machine


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def served(store):
    """Serve a store's MLflow; yields the address."""
    port = free_port()
    process = start_server(store, port)
    try:
        wait_until_up(process, port)
        yield f"http://127.0.0.1:{port}/"
    finally:
        stop_server(process)


@contextmanager
def chromium():
    """Open a browser with a new profile."""
    profile = tempfile.mkdtemp(prefix="chromium-")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in [*FLAGS.split(), f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()
        shutil.rmtree(profile, ignore_errors=True)


class RunPage:
    """The page of a run in the UI; every step away from it is a click."""

    def __init__(self, driver):
        self.driver = driver

    def _find(self, xpath):
        wait = WebDriverWait(self.driver, PATIENCE, poll_frequency=0.3)
        return wait.until(
            lambda driver: next(
                (e for e in driver.find_elements(By.XPATH, xpath) if e.is_displayed()), None
            ),
            f"nothing on the page {self.driver.current_url} matches {xpath}",
        )

    def _click(self, xpath):
        """Click what matches, scrolled into view."""
        element = self._find(xpath)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        self.driver.execute_script("arguments[0].click()", element)

    def _follow(self, xpath):
        """Click a link, and go where it leads: on the same page or in the tab that it opens."""
        tabs, address = self.driver.window_handles, self.driver.current_url
        self._click(xpath)

        def left(driver):
            new = [h for h in driver.window_handles if h not in tabs]
            if new:
                driver.switch_to.window(new[0])
            return driver.current_url not in (address, "about:blank", "")

        wait = WebDriverWait(self.driver, PATIENCE, poll_frequency=0.3)
        wait.until(left, f"a click on {xpath} did not lead away from {address}")

    def open(self, base, experiment, run):
        self.driver.get(
            f"{base}#/experiments/{experiment}/runs/{run}?workflowType=machine_learning"
        )

    def expect(self, step):
        """Wait until the page is that of a run of this step."""
        self._find(f"//h2[normalize-space()='{step}'] | //h1[normalize-space()='{step}']")

    def follow_model(self, name):
        """Click the checkpoint in the table of logged models, then its source run."""
        self._follow(f"//a[normalize-space()='cwm-{name}' and contains(@href, '/models/m-')]")
        self._find("//*[normalize-space()='About this logged model']")
        self._follow("//*[normalize-space()='Source run']/following::a[contains(@href, '/runs/')]")

    def follow_dataset(self, name):
        """Open the list of datasets, choose one, and press "Open dataset"."""
        self._click("//*[normalize-space()='Datasets']/following::*[@role='button'][1]")
        self._find("//*[@role='dialog']")
        self._click(f"//*[@role='dialog']//*[@role='button'][contains(., '{name} (')]")
        self._find(f"//*[@role='dialog']//*[normalize-space()='{name}']")
        self._follow("//button[contains(., 'Open dataset')]")

    def follow_note(self, text):
        """Click a link of the run's description."""
        self._follow(f"//a[normalize-space()='{text}']")

    def source(self):
        return self.driver.page_source
